-- What to sell, buy and hold after one session, and why other instruments have no weight.
-- Parameters:
--   session Date = (select max(trade_date) from champion_market.predictions_equity_targets): the session of the scores
--   orders Bool = false: only the instruments that are to be bought or sold
with
    targets as (
        select *
        from champion_market.equity_targets
        where trade_date = {session:Date}
    ),

    final as (
        select
            trade_date,
            following,
            action,
            symbol,
            weight,
            previous_weight,
            rank,
            close,
            excluded_by,
            warnings,
            if(band_kind = 'fixed', toString(band_percent), band_kind) as band,
            fo_ban,
            instrument_id,
            model_version
        from targets
        where action in ('buy', 'sell') or not {orders:Bool}
    )

select *
from final
order by indexOf(['sell', 'buy', 'hold', 'none'], action), weight desc, previous_weight desc, rank, symbol
