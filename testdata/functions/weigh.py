"""A function that says how large the body was that it was given, in bytes, and answers with
as many letters as the query asks for (size=N)."""

import base64


def handler(event, context):
    body = event.get("body", "")
    given = len(base64.b64decode(body)) if event.get("is_base64_encoded") else len(body.encode())
    size = int((event.get("query_string_parameters") or {}).get("size", "0"))
    return {"statusCode": 200, "headers": {"x-given": str(given), "content-type": "text/plain"}, "body": "x" * size}
