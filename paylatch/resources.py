"""The files that come with Paylatch: the broker's configuration and the real repayment histories.

They are at home at the top of the repository, where people look for them. `paylatch/_data` holds a symbolic link to
each, so that one path works everywhere: in a checkout the link is followed, and a wheel is built with the linked
file's content in its place.
"""

from pathlib import Path

_DATA = Path(__file__).parent / "_data"

MOSQUITTO_CONF = _DATA / "mosquitto.conf"
PHONES_ACL = _DATA / "phones.acl"
SERVICES_ACL = _DATA / "services.acl"
HISTORIES = _DATA / "repayments-2005.csv.gz"
