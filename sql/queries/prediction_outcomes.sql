-- The outcome of each score: its rank, and its adjusted return over the horizon as in champion/modeling/labels.py.
-- An instrument that does not trade when the horizon ends is valued at its last close since entry (exit_date). An
-- instrument that does not trade on entry has no return. A score whose horizon has not ended yet has none either.
-- Parameters:
--   start Date = (select max(trade_date) from champion_market.predictions_equity_scores) - 90: the first scored session
--   end Date = (select max(trade_date) from champion_market.predictions_equity_scores): the last session
--   model String = 'equity_price_predictor': the registered model
--   version Int32 = 0: its version; 0 for the version that scored each session last
--   lag UInt32 = 0: sessions between the score and the close of the entry
with
    scores as (
        select *
        from champion_market.predictions_equity_scores final
        where
            trade_date between {start:Date} and {end:Date}
            and model_name = {model:String}
            and {version:Int32} in (0, model_version)
    ),

    latest as (
        select trade_date, argMax(model_version, (ingest_time, model_version)) as version
        from scores
        group by trade_date
    ),

    calendar as (
        select trade_date, toInt64(row_number() over (order by trade_date)) as number
        from (select distinct trade_date from champion_market.normalized_equity_ohlc where trade_date >= {start:Date})
    ),

    dated as (
        select
            scores.trade_date as trade_date,
            scores.instrument_id as instrument_id,
            scores.symbol as symbol,
            scores.model_version as model_version,
            scores.horizon as horizon,
            scores.score as score,
            scores.rank as rank,
            calendar.number + {lag:UInt32} as entry_number,
            calendar.number + {lag:UInt32} + scores.horizon as end_number
        from scores
        inner join latest on scores.trade_date = latest.trade_date and scores.model_version = latest.version
        inner join calendar on scores.trade_date = calendar.trade_date
    ),

    closes as (
        select
            bars.instrument_id as instrument_id,
            bars.trade_date as trade_date,
            calendar.number as number,
            bars.close as close
        from champion_market.equity_adjusted as bars
        inner join calendar on bars.trade_date = calendar.trade_date
        where bars.trade_date >= {start:Date}
    ),

    outcomes as (
        select
            dated.trade_date as trade_date,
            dated.instrument_id as instrument_id,
            dated.symbol as symbol,
            dated.model_version as model_version,
            dated.horizon as horizon,
            dated.score as score,
            dated.rank as rank,
            if(
                calendar.trade_date is null or entries.close is null, null, ends.close / entries.close - 1
            ) as forward_return,
            calendar.trade_date as label_end,
            if(forward_return is null, null, ends.trade_date) as exit_date
        from dated
        left join closes as entries
            on dated.instrument_id = entries.instrument_id and dated.entry_number = entries.number
        asof left join closes as ends
            on dated.instrument_id = ends.instrument_id and dated.end_number >= ends.number
        left join calendar on dated.end_number = calendar.number
    ),

    final as (
        select
            *,
            if(
                forward_return is null,
                null,
                rank() over (partition by trade_date order by forward_return desc nulls last)
            ) as outcome_rank
        from outcomes
    )

select *
from final
order by trade_date, rank, symbol
settings join_use_nulls = 1
