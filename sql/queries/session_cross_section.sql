-- Each share of one session with its bar and, if they are loaded, its indicators.
-- Parameters:
--   session Date = (select max(trade_date) from champion_market.normalized_equity_ohlc): the session
--   kinds String = 'equity': the kinds of instruments, as equity,fund; empty for all; see the table instruments
with
    bars as (
        select *
        from champion_market.equity_ohlc
        where trade_date = {session:Date}
            and ({kinds:String} = '' or instrument_id in (
                select instrument_id
                from champion_market.instruments
                where has(splitByChar(',', {kinds:String}), instrument_kind)
            ))
    ),

    indicators as (
        select *
        from champion_market.features_equity_indicators
        where trade_date = {session:Date}
    ),

    final as (
        select
            bars.trade_date as trade_date,
            bars.instrument_id as instrument_id,
            bars.symbol as symbol,
            bars.series as series,
            bars.close as close,
            bars.volume as volume,
            bars.turnover as turnover,
            indicators.* except (instrument_id, symbol, trade_date, feature_timestamp, computed_at)
        from bars
        left join indicators
            on bars.instrument_id = indicators.instrument_id and bars.trade_date = indicators.trade_date
    )

select *
from final
order by symbol, instrument_id
settings join_use_nulls = 1
