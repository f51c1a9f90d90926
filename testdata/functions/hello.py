"""A function behind HTTP: it answers in the shape of API Gateway, as most do, and
tells what it was asked, so that a caller sees the request arrive."""

import json
import os


def handler(event, context):
    query = event.get("query_string_parameters") or {}
    answer = {
        "function": os.environ.get("AWS_LAMBDA_FUNCTION_NAME", context.function_name),
        "arn": context.invoked_function_arn,
        "method": event.get("method"),
        "path": event.get("raw_path"),
        "message": "Hello, %s!" % query.get("name", "mesh"),
        "body": event.get("body", ""),
        "is_base64_encoded": event.get("is_base64_encoded", False),
        "headers": event.get("headers", {}),
    }
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json", "x-function": answer["function"]},
        "body": json.dumps(answer),
    }
