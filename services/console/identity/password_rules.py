"""What a console password may be (PURE).

Standards: NIST SP 800-63B §5.1.1.2 (length rather than kinds of characters, a list of common ones, not the name);
RFC 4013 (SASLprep), so that it is the same however it was typed.
On failure: PasswordRefused, whose text is for whoever chose it; it holds nothing of the password.
"""

from shared.saslprep import SaslprepError, saslprep

SHORTEST = 12
LONGEST_OCTETS = 1024
_FEWEST_CHARACTERS = 5
_NAME_COUNTS_FROM = 4
# What people choose when twelve characters are asked for: short words twice, rows of keys, years.
_COMMON_TEXT = """
    123456789012 1234567890123 12345678901234 123456789123 1234567890ab 012345678910 098765432109 111222333444
    112233445566 121212121212 123123123123 123412341234 1q2w3e4r5t6y 1qaz2wsx3edc 1qazxsw23edc q1w2e3r4t5y6
    qwertyuiop12 qwertyuiop123 qwerty123456 qwerty1234567 qwertyqwerty qwertyuiop[] asdfghjkl123 zxcvbnm12345
    password1234 password12345 password123456 passwordpassword passw0rd1234 p@ssw0rd1234 p@ssword1234 mypassword123
    mypassword12 newpassword1 password2024 password2025 password2026 administrator administrator1 administrator123
    adminadmin12 adminadmin123 adminadminadmin admin1234567 admin12345678 admin123456789 rootrootroot changemenow12
    changeme1234 changeme12345 changemeplease letmein12345 letmein123456 welcome12345 welcome123456 iloveyou1234
    iloveyouforever abcdefghijkl abcdefghijklm abcd12345678 abc123456789 abcabcabcabc a1b2c3d4e5f6 aa12345678910
    correcthorsebatterystaple trustno1trustno1 monkey123456 dragon123456 football1234
    baseball1234 superman1234 sunshine1234 princess1234 michael12345 jennifer1234 basketball12 liverpool123
    gatepostgatepost gatepost1234 gatepost12345 postmaster123 mailserver123 mailgateway1 secretsecret secret123456
    testtesttest test12345678 testing12345 testpassword password!123 qwerty!12345 winter2024!! summer2025!!
"""
_COMMON = frozenset(_COMMON_TEXT.split()) | {"correct horse battery staple"}


class PasswordRefused(ValueError):
    """A password that is not taken."""


def prepared(password: str) -> str:
    """Return a password in the one form that is hashed. Raises PasswordRefused."""
    try:
        text = saslprep(password, stored=True)
    except SaslprepError:
        raise PasswordRefused("the password has a character that cannot be typed everywhere") from None
    if len(text.encode("utf-8", "surrogatepass")) > LONGEST_OCTETS:
        raise PasswordRefused(f"a password has {LONGEST_OCTETS} octets at most")
    return text


def acceptable(password: str, name: str) -> str:
    """Return a new password of a user in the form that is hashed. Raises PasswordRefused."""
    text = prepared(password)
    if len(text) < SHORTEST:
        raise PasswordRefused(f"a password has {SHORTEST} characters at least; a few words are good")
    plain = text.lower()
    if len(set(plain)) < _FEWEST_CHARACTERS:
        raise PasswordRefused("that is the same few characters again and again")
    if any(part in plain for part in _parts(name)):
        raise PasswordRefused("the password holds your name")
    if plain in _COMMON:
        raise PasswordRefused("that is among the first that anybody tries")
    return text


def _parts(name: str) -> list[str]:
    whole = name.lower()
    return [part for part in (whole, whole.partition("@")[0]) if len(part) >= _NAME_COUNTS_FROM]
