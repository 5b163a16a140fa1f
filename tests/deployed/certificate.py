"""A certificate for 127.0.0.1 that signs itself, so that the bucket's policy finds encrypted transport."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local.components.cloud import Tls


def make_certificate(directory: Path) -> Tls:
    """Write a key and its certificate, good for a day, into `directory`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Weir tests")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )
    signer = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    for extension in (
        x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]),
        x509.BasicConstraints(ca=False, path_length=None),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        signer,
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer),
    ):
        builder = builder.add_extension(extension, critical=False)
    tls = Tls(directory / "cloud.crt", directory / "cloud.key")
    tls.certificate.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    tls.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return tls
