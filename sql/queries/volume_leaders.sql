-- The shares of one session with the highest volume; ties go to the earlier symbol.
-- Parameters:
--   session Date = (select max(trade_date) from champion_market.normalized_equity_ohlc): the session
--   rows UInt32 = 20: the number of shares
--   kinds String = 'equity': the kinds of instruments, as equity,fund; empty for all; see the table instruments
with
    bars as (
        select *
        from champion_market.equity_ohlc
        where trade_date = {session:Date}
            and volume > 0
            and ({kinds:String} = '' or instrument_id in (
                select instrument_id
                from champion_market.instruments
                where has(splitByChar(',', {kinds:String}), instrument_kind)
            ))
    ),

    final as (
        select
            row_number() over (order by volume desc, symbol, instrument_id) as volume_rank,
            symbol,
            exchange,
            volume,
            turnover,
            close,
            (close - prev_close) / nullIf(prev_close, 0) * 100 as pct_change
        from bars
    )

select *
from final
where volume_rank <= {rows:UInt32}
order by volume_rank
