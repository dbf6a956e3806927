"""Certificates for one test, made with the openssl command."""

import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from paylatch.local.ports import LOOPBACK

DAY = timedelta(days=1)
_OPENSSL = shutil.which("openssl") or ""
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_CA = """\
[ca]
default_ca = this
[this]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = names
copy_extensions = copy
unique_subject = no
[names]
commonName = supplied
"""


@dataclass(frozen=True)
class Authority:
    """A CA of the test's own."""

    directory: Path

    @property
    def cafile(self) -> Path:
        return self.directory / "ca.pem"

    def issue(
        self,
        certfile: Path,
        *,
        name: str = f"IP:{LOOPBACK}",
        begins: timedelta = -DAY,
        ends: timedelta = DAY,
    ) -> None:
        """Make a server's certificate, valid between two times from now, and beside it its key, `….key`."""
        request = self.directory / "request.pem"
        key = certfile.with_suffix(".key")
        extensions = (f"subjectAltName={name}", "basicConstraints=CA:FALSE", "keyUsage=digitalSignature")
        self._openssl(
            *("req", *_NEW_KEY, "-subj", "/CN=server", "-keyout", str(key), "-out", str(request)),
            *(word for extension in extensions for word in ("-addext", extension)),
        )
        self._openssl(
            *("ca", "-config", "ca.conf", "-batch", "-notext", "-cert", "ca.pem", "-keyfile", "ca.key"),
            *("-startdate", _asn1(begins), "-enddate", _asn1(ends), "-in", str(request), "-out", str(certfile)),
        )
        key.chmod(0o644)  # for a broker that has dropped to an account of its own

    def _openssl(self, *arguments: str) -> None:
        subprocess.run([_OPENSSL, *arguments], cwd=self.directory, check=True, capture_output=True)


def new_authority(directory: Path) -> Authority:
    if not _OPENSSL:
        pytest.fail("certificates are made with the openssl command, which is not there; `make setup` installs it")
    directory.mkdir()
    (directory / "ca.conf").write_text(_CA)
    (directory / "index.txt").touch()
    (directory / "serial").write_text("01\n")
    made = Authority(directory)
    made._openssl(
        *("req", "-x509", *_NEW_KEY, "-days", "2", "-subj", "/CN=Test CA", "-addext", "keyUsage=critical,keyCertSign"),
        *("-keyout", "ca.key", "-out", "ca.pem"),
    )
    return made


def _asn1(from_now: timedelta) -> str:
    return f"{datetime.now(UTC) + from_now:%Y%m%d%H%M%SZ}"
