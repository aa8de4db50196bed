"""The client's side of SCRAM-SHA-256, written from RFC 5802 alone, to try ours against."""

import base64
import hashlib
import hmac


class ScramClient:
    """One exchange. flag: of the gs2 header (`n`, `y`, `p=type`). binding: what the channel is bound by."""

    def __init__(self, login: str, password: str, *, flag: str = "n", binding: bytes = b"", acts_as: str = "") -> None:
        self._password = password.encode()
        self.header = f"{flag},{f'a={acts_as}' if acts_as else ''},".encode()
        self.binding = binding
        self.nonce = b"fyko+d2lbbFgONRv9qkxdawL"
        name = login.replace("=", "=3D").replace(",", "=2C")
        self.bare = b"n=" + name.encode() + b",r=" + self.nonce
        self._server_signature = b""

    def first(self) -> bytes:
        return self.header + self.bare

    def final(self, server_first: bytes) -> bytes:
        facts = dict(part.split(b"=", 1) for part in server_first.split(b","))
        assert facts[b"r"].startswith(self.nonce)
        assert len(facts[b"r"]) > len(self.nonce)
        salted = hashlib.pbkdf2_hmac("sha256", self._password, base64.b64decode(facts[b"s"]), int(facts[b"i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        bound = base64.b64encode(self.header + self.binding)
        without_proof = b"c=" + bound + b",r=" + facts[b"r"]
        said = b",".join((self.bare, server_first, without_proof))
        signature = hmac.digest(hashlib.sha256(client_key).digest(), said, "sha256")
        self._server_signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), said, "sha256")
        proof = bytes(one ^ other for one, other in zip(client_key, signature, strict=True))
        return without_proof + b",p=" + base64.b64encode(proof)

    def trusts(self, server_final: bytes) -> bool:
        """Whether the server knows the keys, too."""
        return server_final == b"v=" + base64.b64encode(self._server_signature)
