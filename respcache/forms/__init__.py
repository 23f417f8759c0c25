"""In which form commands are propagated that depend on the time, on chance, or on who waited.

What takes its place has the same effect on the same data at any time. Most forms are those of Redis 7.4.
"""

from respcache.forms import geo, hashes, keys, pops, streams
from respcache.forms.call import FORMS, Call, Form, Words

__all__ = ["FORMS", "Call", "Form", "Words", "geo", "hashes", "keys", "pops", "streams"]
