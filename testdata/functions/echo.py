"""A function that gets the bare payload (payload-passthrough) and gives it back."""


def handler(event, context):
    return {"echo": event, "arn": context.invoked_function_arn}
