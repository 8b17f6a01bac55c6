"""PyJWT as a verifier: cases as JSON on standard input, a verdict on each on standard output."""

import json
import sys

import jwt


def verify(case, clients={}):
    client = clients.setdefault(case["jwks"], jwt.PyJWKClient(case["jwks"]))
    key = client.get_signing_key_from_jwt(case["token"])
    jwt.decode(
        case["token"], key, algorithms=[case["algorithm"]], issuer=case["issuer"], audience=case["audience"],
        options={"require": ["exp", "iat", "iss", "aud", "sub"]},
    )
    if jwt.get_unverified_header(case["token"])["typ"] != "at+jwt":
        raise jwt.InvalidTokenError("not an access token")


def verdict(case):
    try:
        verify(case)
    except jwt.exceptions.PyJWKClientConnectionError as broken:
        return {"broken": repr(broken)}
    except jwt.PyJWTError as refusal:
        return {"accepted": False, "why": repr(refusal)}
    except Exception as broken:  # a verifier that trips over a token has not refused it
        return {"broken": repr(broken)}
    return {"accepted": True}


json.dump([verdict(case) for case in json.load(sys.stdin)], sys.stdout)
