"""A function that does what it is told: behind the envelope by the request's body, with
payload passthrough by the event itself. Told nothing, it answers with its event."""

import json
import time


def handler(event, context):
    told = event
    if isinstance(event, dict) and "raw_path" in event:
        try:
            told = json.loads(event["body"])
        except ValueError:
            told = None
    if not isinstance(told, dict):
        told = {}
    if "raise" in told:
        raise RuntimeError(told["raise"])
    if "sleep" in told:
        time.sleep(told["sleep"])
    if "return" in told:
        return told["return"]
    return {"statusCode": 200, "body": json.dumps(event)}
