package registrator

import (
	"fmt"
	"strings"
)

// CloudTrail is an event of a call, in the shape in which CloudTrail's events reach
// EventBridge. Parameters and more are the JSON of requestParameters and of further
// fields of detail.
func CloudTrail(name, parameters string, more ...string) string {
	return fmt.Sprintf(`{
		"version": "0", "id": "b3a1", "detail-type": "AWS API Call via CloudTrail", "source": "aws.lambda",
		"account": "123456789012", "time": "2026-11-22T10:00:00Z", "region": "us-east-1", "resources": [],
		"detail": {
			"eventVersion": "1.08",
			"userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::123456789012:assumed-role/deploy/me", "accountId": "123456789012"},
			"eventTime": "2026-11-22T10:00:00Z", "eventSource": "lambda.amazonaws.com", "eventName": %q, "awsRegion": "us-east-1",
			"requestParameters": %s, "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": "123456789012"%s
		}}`, name, parameters, strings.Join(append([]string{""}, more...), ", "))
}
