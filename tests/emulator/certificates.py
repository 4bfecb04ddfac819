"""Who the emulator says it is: a TLS certificate of its own authority, and a chain under its own Noise root."""

from __future__ import annotations

import datetime
import ssl
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.emulator.keys import KeyPair
from tests.emulator.schemas import CertChain

NAMES = ("web.whatsapp.com", "*.whatsapp.net", "*.cdn.whatsapp.net", "*.whatsapp.com")
_DAY = 86400


class NoiseIdentity:
    """A root, an intermediate and the key of the handshake. Clients pin the root's public key."""

    def __init__(self) -> None:
        self.root, self.static = KeyPair(), KeyPair()
        intermediate = KeyPair()
        chain = CertChain()
        self._certify(chain.intermediate, KeyPair(intermediate.private), signer=self.root, serial=1, issuer=0)
        self._certify(chain.leaf, self.static, signer=intermediate, serial=2, issuer=1)
        self.chain: bytes = chain.SerializeToString()

    @staticmethod
    def _certify(into: object, key: KeyPair, *, signer: KeyPair, serial: int, issuer: int) -> None:
        now = int(time.time())
        details = CertChain.NoiseCertificate.Details(
            serial=serial, issuerSerial=issuer, key=key.public, notBefore=now - _DAY, notAfter=now + 10 * _DAY
        ).SerializeToString()
        into.details, into.signature = details, signer.sign(details)  # type: ignore[attr-defined]


def server_side(folder: Path) -> ssl.SSLContext:
    """A context for the names in NAMES; leaves `ca.pem` in the folder for the client's SSL_CERT_FILE."""
    began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    ends = began + datetime.timedelta(days=30)
    authority = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "emulator test authority")])
    base = x509.CertificateBuilder().issuer_name(issuer).not_valid_before(began).not_valid_after(ends)
    own = base.subject_name(issuer).public_key(authority.public_key()).serial_number(1)
    own = own.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    (folder / "ca.pem").write_bytes(own.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAMES[0])])
    leaf = base.subject_name(subject).public_key(key.public_key()).serial_number(2)
    names = x509.SubjectAlternativeName([x509.DNSName(name) for name in NAMES])
    signed = leaf.add_extension(names, critical=False).sign(authority, hashes.SHA256())
    pem = folder / "server.pem"
    pem.touch(mode=0o600)
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
