-- Daily bars as published: append-only history for audit and replay.
-- Columns, types and constraints are those of schemas/raw_equity_ohlc_v1.avsc; a test holds them to it.
create table if not exists champion_market.raw_equity_ohlc
(
    event_id UUID,
    event_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    ingest_time DateTime64(3, 'UTC') codec(Delta, ZSTD(1)),
    source LowCardinality(String),
    schema_version LowCardinality(String),
    entity_id String codec(ZSTD(1)),
    TradDt Date codec(Delta, ZSTD(1)),
    BizDt Nullable(Date) codec(Delta, ZSTD(1)),
    Sgmt LowCardinality(Nullable(String)),
    Src LowCardinality(Nullable(String)),
    FinInstrmTp LowCardinality(Nullable(String)),
    FinInstrmId Nullable(Int64) codec(ZSTD(1)),
    ISIN Nullable(String) codec(ZSTD(1)),
    TckrSymb String codec(ZSTD(1)),
    SctySrs LowCardinality(String),
    XpryDt Nullable(Date) codec(Delta, ZSTD(1)),
    FininstrmActlXpryDt Nullable(Date) codec(Delta, ZSTD(1)),
    StrkPric Nullable(Float64) codec(ZSTD(1)),
    OptnTp LowCardinality(Nullable(String)),
    FinInstrmNm Nullable(String) codec(ZSTD(1)),
    OpnPric Nullable(Float64) codec(ZSTD(1)),
    HghPric Nullable(Float64) codec(ZSTD(1)),
    LwPric Nullable(Float64) codec(ZSTD(1)),
    ClsPric Nullable(Float64) codec(ZSTD(1)),
    LastPric Nullable(Float64) codec(ZSTD(1)),
    PrvsClsgPric Nullable(Float64) codec(ZSTD(1)),
    UndrlygPric Nullable(Float64) codec(ZSTD(1)),
    SttlmPric Nullable(Float64) codec(ZSTD(1)),
    OpnIntrst Nullable(Int64) codec(ZSTD(1)),
    ChngInOpnIntrst Nullable(Int64) codec(ZSTD(1)),
    TtlTradgVol Nullable(Int64) codec(ZSTD(1)),
    TtlTrfVal Nullable(Float64) codec(ZSTD(1)),
    TtlNbOfTxsExctd Nullable(Int64) codec(ZSTD(1)),
    SsnId LowCardinality(Nullable(String)),
    NewBrdLotQty Nullable(Int64) codec(ZSTD(1)),
    Rmks Nullable(String) codec(ZSTD(1)),
    Rsvd1 Nullable(String) codec(ZSTD(1)),
    Rsvd2 Nullable(String) codec(ZSTD(1)),
    Rsvd3 Nullable(String) codec(ZSTD(1)),
    Rsvd4 Nullable(String) codec(ZSTD(1)),
    index idx_isin ISIN type bloom_filter granularity 4,
    constraint segment_is_cash_market check ifNull(Sgmt = 'CM', true),
    constraint symbol_is_named check ifNull(TckrSymb <> '', true),
    constraint series_is_named check ifNull(SctySrs <> '', true),
    constraint prices_are_not_negative check ifNull(OpnPric >= 0 and HghPric >= 0 and LwPric >= 0 and ClsPric >= 0 and LastPric >= 0 and PrvsClsgPric >= 0, true),
    constraint volume_is_not_negative check ifNull(TtlTradgVol >= 0 and TtlTrfVal >= 0 and TtlNbOfTxsExctd >= 0, true)
)
engine = MergeTree
partition by toYYYYMM(TradDt)
order by (TckrSymb, TradDt, event_time)
-- Months stay in compact parts, ten files each: a snapshot links every file.
settings ttl_only_drop_parts = 1, min_bytes_for_wide_part = 268435456;
