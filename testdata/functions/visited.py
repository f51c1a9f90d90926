"""A function that is called by its URL: it tells what of the request it got."""

import json


def handler(event, context):
    if event.get("rawPath") == "/raise":
        raise ValueError("boom")
    told = {
        "arn": context.invoked_function_arn,
        "method": event["requestContext"]["http"]["method"],
        "path": event["rawPath"],
        "query": event["rawQueryString"],
        "headers": event["headers"],
        "body": event.get("body", ""),
        "is_base64_encoded": event["isBase64Encoded"],
    }
    return {"statusCode": 201, "headers": {"content-type": "application/json"}, "body": json.dumps(told)}
