"""The lists that NSE publishes every session, and their addresses in the archive.

Addresses of price bands, bundles and reports are those of the exchange's archive host. The ban list's is that of its
dated copy. None of them is needed for a session to be complete.
"""

from datetime import date

from champion.sources.lists import ban_list, market_activity, pr_bundle, price_bands
from champion.sources.table import Publication


def price_band_paths(session: date) -> list[str]:
    """Return the path of the price bands published after a session.

    >>> price_band_paths(date(2025, 2, 24))
    ['content/equities/sec_list_24022025.csv']
    """
    return [f"content/equities/sec_list_{session:%d%m%Y}.csv"]


def ban_list_paths(session: date) -> list[str]:
    """Return the path of the ban list of a trade date.

    >>> ban_list_paths(date(2024, 5, 6))
    ['archives/fo/sec_ban/fo_secban_06052024.csv']
    """
    return [f"archives/fo/sec_ban/fo_secban_{session:%d%m%Y}.csv"]


def bundle_paths(session: date) -> list[str]:
    """Return the path of the PR bundle of a session.

    >>> bundle_paths(date(2020, 12, 1))
    ['archives/equities/bhavcopy/pr/PR011220.zip']
    """
    return [f"archives/equities/bhavcopy/pr/PR{session:%d%m%y}.zip"]


def market_activity_paths(session: date) -> list[str]:
    """Return the possible paths of the market activity report of a session.

    >>> market_activity_paths(date(2024, 1, 20))[0]
    'archives/equities/mkt/MA200124.csv'
    """
    path = f"archives/equities/mkt/MA{session:%d%m%y}.csv"
    return [path, f"{path}.zip"]


PRICE_BANDS = Publication("price bands", price_band_paths, price_bands.read)
BAN_LIST = Publication("F&O ban list", ban_list_paths, ban_list.read)
CIRCUIT_HITS = Publication("circuit hits", bundle_paths, pr_bundle.read_hits)
WEEK52_EXTREMES = Publication("52-week extremes", bundle_paths, pr_bundle.read_extremes)
MARKET_ACTIVITY = Publication("market activity", market_activity_paths, market_activity.read)
