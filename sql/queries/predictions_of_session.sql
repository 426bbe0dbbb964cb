-- The scores of one session, best first, by the version of the model that scored it last.
-- Parameters:
--   session Date = (select max(trade_date) from champion_market.predictions_equity_scores): the scored session
--   model String = 'equity_price_predictor': the registered model
with
    scores as (
        select *
        from champion_market.predictions_equity_scores final
        where trade_date = {session:Date} and model_name = {model:String}
    ),

    latest as (
        select argMax(model_version, (ingest_time, model_version)) as version
        from scores
    ),

    final as (
        select trade_date, rank, symbol, instrument_id, score, horizon, model_name, model_version, feature_version
        from scores
        where model_version = (select version from latest)
    )

select *
from final
order by rank, symbol
