-- The instruments of one session with the highest volume.
-- Parameters:
--   session Date = (select max(trade_date) from champion_market.normalized_equity_ohlc): the session
--   rows UInt32 = 20: the number of instruments, at most 100
with
    leaders as (
        select *
        from champion_market.equity_volume_leaders
        where trade_date = {session:Date}
    ),

    final as (
        select volume_rank, symbol, exchange, volume, turnover, close, pct_change
        from leaders
        where volume_rank <= {rows:UInt32}
    )

select *
from final
order by volume_rank
