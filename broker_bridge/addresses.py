"""Which addresses others than this machine reach."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches what listens there; no address at all means every interface."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
