"""Public data sets as they are downloaded, made data sets of the contract where they lie."""

from calcigraph.adapters.cbis_ddsm import Adapted, adapt_cbis_ddsm

ADAPTERS = {"cbis-ddsm": adapt_cbis_ddsm}
"""By name."""

__all__ = ["ADAPTERS", "Adapted", "adapt_cbis_ddsm"]
