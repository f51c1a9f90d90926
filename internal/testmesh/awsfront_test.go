package testmesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi"
	"github.com/aws/smithy-go"
)

// listPages lists tagged functions as the registrator does and returns the ARNs of
// each page.
func listPages(ctx context.Context, client *resourcegroupstaggingapi.Client, perPage int32) (pages [][]string, err error) {
	p := resourcegroupstaggingapi.NewGetResourcesPaginator(client, &resourcegroupstaggingapi.GetResourcesInput{
		ResourceTypeFilters: []string{"lambda:function"}, ResourcesPerPage: aws.Int32(perPage),
	})
	for p.HasMorePages() {
		out, err := p.NextPage(ctx, func(o *resourcegroupstaggingapi.Options) { o.RetryMaxAttempts = 1 })
		if err != nil {
			return pages, err
		}
		var page []string
		for _, r := range out.ResourceTagMappingList {
			page = append(page, aws.ToString(r.ResourceARN))
		}
		pages = append(pages, page)
	}
	return pages, nil
}

// TestAWSFront runs the SDK against ministack through the front: pages, faults, record.
func TestAWSFront(t *testing.T) {
	ctx := Context(t)
	a := TestAWS(t, AWSConfig{})
	file, err := FunctionFile("echo.py")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := range 5 {
		arn, err := a.CreateFunction(ctx, Function{Name: fmt.Sprintf("f%d", i), File: file, Tags: EnabledTags()})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, arn)
	}
	bare, err := a.CreateFunction(ctx, Function{Name: "bare", File: file})
	if err != nil {
		t.Fatal(err)
	}

	pages, err := listPages(ctx, a.Tagging(), 2)
	if err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(slices.Values(slices.Concat(pages...)))
	if len(pages) != 3 || !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v in 3 pages", pages, want)
	}

	// The function without tags comes when it has some, and goes again.
	if err := a.Tag(ctx, bare, EnabledTags("timeout", "5")); err != nil {
		t.Fatal(err)
	}
	a.Front.SetPageSize(4)
	pages, err = listPages(ctx, a.Tagging(), 100)
	if err != nil || len(pages) != 2 || len(slices.Concat(pages...)) != 6 {
		t.Errorf("listed %v, error %v; want 6 in 2 pages", pages, err)
	}
	if err := a.Untag(ctx, bare, MetaPrefix+"enabled", MetaPrefix+"timeout"); err != nil {
		t.Fatal(err)
	}

	// The second page fails, then works again.
	from := len(a.Front.Requests())
	remove := a.Front.Fail(Fault{Operation: "GetResources", Page: 2, Code: "AccessDeniedException"})
	pages, err = listPages(ctx, a.Tagging(), 100)
	if apiErr, ok := errors.AsType[smithy.APIError](err); !ok || apiErr.ErrorCode() != "AccessDeniedException" || len(pages) != 1 {
		t.Errorf("listed %v, error %v; want one page and AccessDeniedException", pages, err)
	}
	request, _, err := a.Front.WaitFor(ctx, from, func(r AWSRequest) bool { return r.Operation == "GetResources" && r.Page == 2 })
	if err != nil || !request.Failed || request.Status != 400 || request.Region != a.Region() {
		t.Errorf("recorded %+v, error %v", request, err)
	}
	remove()
	if pages, err = listPages(ctx, a.Tagging(), 100); err != nil || len(pages) != 2 {
		t.Errorf("after the fault: listed %v, error %v", pages, err)
	}

	if err := a.DeleteFunction(ctx, "bare"); err != nil {
		t.Fatal(err)
	}
	var operations []string
	for _, r := range a.Front.Requests() {
		operations = append(operations, r.Operation)
	}
	slices.Sort(operations)
	if got, want := slices.Compact(operations), []string{"CreateFunction", "DeleteFunction", "GetResources", "TagResource", "UntagResource"}; !slices.Equal(got, want) {
		t.Errorf("recorded the operations %v, want %v", got, want)
	}
}

// TestAWSLeavesNothing: a function's worker is a process of its own, which must end
// with ministack.
func TestAWSLeavesNothing(t *testing.T) {
	ctx := Context(t)
	a := TestAWS(t, AWSConfig{})
	file, err := FunctionFile("echo.py")
	if err != nil {
		t.Fatal(err)
	}
	arn, err := a.CreateFunction(ctx, Function{Name: "echo", File: file})
	if err != nil {
		t.Fatal(err)
	}
	out, err := a.Lambda().Invoke(ctx, &awslambda.InvokeInput{FunctionName: &arn, Payload: []byte(`{"a":1}`)})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"echo": {"a": 1}, "arn": "` + arn + `"}`; string(out.Payload) != want {
		t.Errorf("the function answered %s, want %s", out.Payload, want)
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	if groupLives(a.Pid()) {
		t.Error("a process of ministack's is left")
	}
}
