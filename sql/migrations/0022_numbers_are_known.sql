-- A number that is not known is null. NaN and infinity are no numbers: they would sort above all others, and a rule
-- such as `x is not null or y > 0` would be true of them. Rows that are there already are not judged again.

alter table champion_market.raw_equity_ohlc add constraint if not exists numbers_are_known check
    ifNull(isFinite(StrkPric), true) and ifNull(isFinite(OpnPric), true) and ifNull(isFinite(HghPric), true)
    and ifNull(isFinite(LwPric), true) and ifNull(isFinite(ClsPric), true) and ifNull(isFinite(LastPric), true)
    and ifNull(isFinite(PrvsClsgPric), true) and ifNull(isFinite(UndrlygPric), true)
    and ifNull(isFinite(SttlmPric), true) and ifNull(isFinite(TtlTrfVal), true);

alter table champion_market.normalized_equity_ohlc add constraint if not exists numbers_are_known check
    ifNull(isFinite(prev_close), true) and ifNull(isFinite(open), true) and ifNull(isFinite(high), true)
    and ifNull(isFinite(low), true) and ifNull(isFinite(close), true) and ifNull(isFinite(last_price), true)
    and ifNull(isFinite(settlement_price), true) and ifNull(isFinite(turnover), true)
    and ifNull(isFinite(adjustment_factor), true);

alter table champion_market.features_equity_indicators add constraint if not exists numbers_are_known check
    ifNull(isFinite(sma_5), true) and ifNull(isFinite(sma_10), true) and ifNull(isFinite(sma_20), true)
    and ifNull(isFinite(sma_50), true) and ifNull(isFinite(sma_100), true) and ifNull(isFinite(sma_200), true)
    and ifNull(isFinite(ema_12), true) and ifNull(isFinite(ema_26), true) and ifNull(isFinite(ema_50), true)
    and ifNull(isFinite(rsi_14), true) and ifNull(isFinite(macd), true) and ifNull(isFinite(macd_signal), true)
    and ifNull(isFinite(macd_histogram), true) and ifNull(isFinite(stochastic_k), true)
    and ifNull(isFinite(stochastic_d), true) and ifNull(isFinite(bb_upper), true)
    and ifNull(isFinite(bb_middle), true) and ifNull(isFinite(bb_lower), true) and ifNull(isFinite(bb_width), true)
    and ifNull(isFinite(atr_14), true) and ifNull(isFinite(vwap), true) and ifNull(isFinite(volume_ma_20), true);

alter table champion_market.features_equity_alpha158 add constraint if not exists numbers_are_known check
    ifNull(isFinite(KMID), true) and ifNull(isFinite(KLEN), true) and ifNull(isFinite(KMID2), true)
    and ifNull(isFinite(KUP), true) and ifNull(isFinite(KUP2), true) and ifNull(isFinite(KLOW), true)
    and ifNull(isFinite(KLOW2), true) and ifNull(isFinite(KSFT), true) and ifNull(isFinite(KSFT2), true)
    and ifNull(isFinite(OPEN0), true) and ifNull(isFinite(HIGH0), true) and ifNull(isFinite(LOW0), true)
    and ifNull(isFinite(VWAP0), true) and ifNull(isFinite(ROC5), true) and ifNull(isFinite(ROC10), true)
    and ifNull(isFinite(ROC20), true) and ifNull(isFinite(ROC30), true) and ifNull(isFinite(ROC60), true)
    and ifNull(isFinite(MA5), true) and ifNull(isFinite(MA10), true) and ifNull(isFinite(MA20), true)
    and ifNull(isFinite(MA30), true) and ifNull(isFinite(MA60), true) and ifNull(isFinite(STD5), true)
    and ifNull(isFinite(STD10), true) and ifNull(isFinite(STD20), true) and ifNull(isFinite(STD30), true)
    and ifNull(isFinite(STD60), true) and ifNull(isFinite(BETA5), true) and ifNull(isFinite(BETA10), true)
    and ifNull(isFinite(BETA20), true) and ifNull(isFinite(BETA30), true) and ifNull(isFinite(BETA60), true)
    and ifNull(isFinite(RSQR5), true) and ifNull(isFinite(RSQR10), true) and ifNull(isFinite(RSQR20), true)
    and ifNull(isFinite(RSQR30), true) and ifNull(isFinite(RSQR60), true) and ifNull(isFinite(RESI5), true)
    and ifNull(isFinite(RESI10), true) and ifNull(isFinite(RESI20), true) and ifNull(isFinite(RESI30), true)
    and ifNull(isFinite(RESI60), true) and ifNull(isFinite(MAX5), true) and ifNull(isFinite(MAX10), true)
    and ifNull(isFinite(MAX20), true) and ifNull(isFinite(MAX30), true) and ifNull(isFinite(MAX60), true)
    and ifNull(isFinite(MIN5), true) and ifNull(isFinite(MIN10), true) and ifNull(isFinite(MIN20), true)
    and ifNull(isFinite(MIN30), true) and ifNull(isFinite(MIN60), true) and ifNull(isFinite(QTLU5), true)
    and ifNull(isFinite(QTLU10), true) and ifNull(isFinite(QTLU20), true) and ifNull(isFinite(QTLU30), true)
    and ifNull(isFinite(QTLU60), true) and ifNull(isFinite(QTLD5), true) and ifNull(isFinite(QTLD10), true)
    and ifNull(isFinite(QTLD20), true) and ifNull(isFinite(QTLD30), true) and ifNull(isFinite(QTLD60), true)
    and ifNull(isFinite(RANK5), true) and ifNull(isFinite(RANK10), true) and ifNull(isFinite(RANK20), true)
    and ifNull(isFinite(RANK30), true) and ifNull(isFinite(RANK60), true) and ifNull(isFinite(RSV5), true)
    and ifNull(isFinite(RSV10), true) and ifNull(isFinite(RSV20), true) and ifNull(isFinite(RSV30), true)
    and ifNull(isFinite(RSV60), true) and ifNull(isFinite(IMAX5), true) and ifNull(isFinite(IMAX10), true)
    and ifNull(isFinite(IMAX20), true) and ifNull(isFinite(IMAX30), true) and ifNull(isFinite(IMAX60), true)
    and ifNull(isFinite(IMIN5), true) and ifNull(isFinite(IMIN10), true) and ifNull(isFinite(IMIN20), true)
    and ifNull(isFinite(IMIN30), true) and ifNull(isFinite(IMIN60), true) and ifNull(isFinite(IMXD5), true)
    and ifNull(isFinite(IMXD10), true) and ifNull(isFinite(IMXD20), true) and ifNull(isFinite(IMXD30), true)
    and ifNull(isFinite(IMXD60), true) and ifNull(isFinite(CORR5), true) and ifNull(isFinite(CORR10), true)
    and ifNull(isFinite(CORR20), true) and ifNull(isFinite(CORR30), true) and ifNull(isFinite(CORR60), true)
    and ifNull(isFinite(CORD5), true) and ifNull(isFinite(CORD10), true) and ifNull(isFinite(CORD20), true)
    and ifNull(isFinite(CORD30), true) and ifNull(isFinite(CORD60), true) and ifNull(isFinite(CNTP5), true)
    and ifNull(isFinite(CNTP10), true) and ifNull(isFinite(CNTP20), true) and ifNull(isFinite(CNTP30), true)
    and ifNull(isFinite(CNTP60), true) and ifNull(isFinite(CNTN5), true) and ifNull(isFinite(CNTN10), true)
    and ifNull(isFinite(CNTN20), true) and ifNull(isFinite(CNTN30), true) and ifNull(isFinite(CNTN60), true)
    and ifNull(isFinite(CNTD5), true) and ifNull(isFinite(CNTD10), true) and ifNull(isFinite(CNTD20), true)
    and ifNull(isFinite(CNTD30), true) and ifNull(isFinite(CNTD60), true) and ifNull(isFinite(SUMP5), true)
    and ifNull(isFinite(SUMP10), true) and ifNull(isFinite(SUMP20), true) and ifNull(isFinite(SUMP30), true)
    and ifNull(isFinite(SUMP60), true) and ifNull(isFinite(SUMN5), true) and ifNull(isFinite(SUMN10), true)
    and ifNull(isFinite(SUMN20), true) and ifNull(isFinite(SUMN30), true) and ifNull(isFinite(SUMN60), true)
    and ifNull(isFinite(SUMD5), true) and ifNull(isFinite(SUMD10), true) and ifNull(isFinite(SUMD20), true)
    and ifNull(isFinite(SUMD30), true) and ifNull(isFinite(SUMD60), true) and ifNull(isFinite(VMA5), true)
    and ifNull(isFinite(VMA10), true) and ifNull(isFinite(VMA20), true) and ifNull(isFinite(VMA30), true)
    and ifNull(isFinite(VMA60), true) and ifNull(isFinite(VSTD5), true) and ifNull(isFinite(VSTD10), true)
    and ifNull(isFinite(VSTD20), true) and ifNull(isFinite(VSTD30), true) and ifNull(isFinite(VSTD60), true)
    and ifNull(isFinite(WVMA5), true) and ifNull(isFinite(WVMA10), true) and ifNull(isFinite(WVMA20), true)
    and ifNull(isFinite(WVMA30), true) and ifNull(isFinite(WVMA60), true) and ifNull(isFinite(VSUMP5), true)
    and ifNull(isFinite(VSUMP10), true) and ifNull(isFinite(VSUMP20), true) and ifNull(isFinite(VSUMP30), true)
    and ifNull(isFinite(VSUMP60), true) and ifNull(isFinite(VSUMN5), true) and ifNull(isFinite(VSUMN10), true)
    and ifNull(isFinite(VSUMN20), true) and ifNull(isFinite(VSUMN30), true) and ifNull(isFinite(VSUMN60), true)
    and ifNull(isFinite(VSUMD5), true) and ifNull(isFinite(VSUMD10), true) and ifNull(isFinite(VSUMD20), true)
    and ifNull(isFinite(VSUMD30), true) and ifNull(isFinite(VSUMD60), true);

alter table champion_market.predictions_equity_scores add constraint if not exists numbers_are_known check
    ifNull(isFinite(score), true);

alter table champion_market.normalized_equity_delivery add constraint if not exists numbers_are_known check
    ifNull(isFinite(delivered_share), true) and ifNull(isFinite(average_price), true);

alter table champion_market.normalized_index_ohlc add constraint if not exists numbers_are_known check
    ifNull(isFinite(open), true) and ifNull(isFinite(high), true) and ifNull(isFinite(low), true)
    and ifNull(isFinite(close), true) and ifNull(isFinite(points_change), true) and ifNull(isFinite(turnover), true)
    and ifNull(isFinite(price_earnings), true) and ifNull(isFinite(price_book), true)
    and ifNull(isFinite(dividend_yield), true);

alter table champion_market.normalized_corporate_actions add constraint if not exists numbers_are_known check
    ifNull(isFinite(price_factor), true) and ifNull(isFinite(volume_factor), true) and ifNull(isFinite(amount), true)
    and ifNull(isFinite(face_value), true) and ifNull(isFinite(percent), true);

alter table champion_market.normalized_symbol_master add constraint if not exists numbers_are_known check
    ifNull(isFinite(face_value), true) and ifNull(isFinite(paid_up_value), true);

alter table champion_market.normalized_adjustment_factors add constraint if not exists numbers_are_known check
    ifNull(isFinite(price_factor), true) and ifNull(isFinite(volume_factor), true)
    and ifNull(isFinite(prev_close), true) and ifNull(isFinite(gap), true);

alter table champion_market.quality_findings add constraint if not exists numbers_are_known check
    ifNull(isFinite(value), true);
