package registrator

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	awslambda "github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/google/go-cmp/cmp"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// cutOff is Lambda until so many functions' tags are read; then it fails.
type cutOff struct {
	LambdaAPI
	read *sync.WaitGroup
}

func (c cutOff) ListTags(ctx context.Context, in *awslambda.ListTagsInput, options ...func(*awslambda.Options)) (*awslambda.ListTagsOutput, error) {
	if strings.HasSuffix(*in.Resource, "-late") {
		c.read.Wait()
		return nil, errors.New("the end is near")
	}
	defer c.read.Done()
	return c.LambdaAPI.ListTags(ctx, in, options...)
}

// A listing that is cut off is gone on with by the next run; what a look saw meanwhile
// goes before it, and so does AWS after a time.
func TestListOneByOneGoesOn(t *testing.T) {
	fake := StartFakeAWS(t)
	fake.Fail(Fault{Operation: "GetResources", Status: http.StatusBadRequest, Code: "AccessDeniedException"})
	for _, name := range []string{"a", "b", "c", "d-late", "e-late"} {
		fake.Put(name, Enabled())
	}
	s := newSource(fake.Regions(t, nil), true)
	whole, now := s.regions[0].Lambda, time.Now()
	cut := func() {
		t.Helper()
		var read sync.WaitGroup
		read.Add(3)
		s.regions[0].Lambda = cutOff{whole, &read}
		_, err := s.list(t.Context(), now)
		if err == nil || !strings.Contains(err.Error(), "the tags of 3 of 5 functions are read, and the next run goes on with the others: ") {
			t.Errorf("a listing that is cut off: %v", err)
		}
		s.regions[0].Lambda = whole
		fake.Requests()
	}
	list := func(now time.Time, tagsRead int, want ...string) {
		t.Helper()
		listing, err := s.list(t.Context(), now)
		if err != nil {
			t.Fatal(err)
		}
		enabled := []string{}
		for _, function := range listing.Functions {
			if len(function.Tags) > 0 {
				enabled = append(enabled, function.ARN.Name)
			}
		}
		if diff := cmp.Diff(want, enabled); diff != "" {
			t.Error(diff)
		}
		n := 0
		for _, request := range fake.Requests() {
			if request == "ListTags 1" {
				n++
			}
		}
		if n != tagsRead {
			t.Errorf("%d functions' tags were read, want %d", n, tagsRead)
		}
	}
	cut()
	list(now.Add(15*time.Minute), 2, "a", "b", "c", "d-late", "e-late")
	list(now.Add(20*time.Minute), 5, "a", "b", "c", "d-late", "e-late") // a whole one is not remembered

	cut()
	fake.Put("a", nil)
	seen, err := s.lookAt(t.Context(), []lambda.ARN{fake.ARN("a")})
	if err != nil {
		t.Fatal(err)
	}
	s.learn(map[lambda.ARN]Listed{fake.ARN("a"): seen.Functions[0]})
	fake.Requests()
	list(now.Add(15*time.Minute), 3, "b", "c", "d-late", "e-late")

	fake.Put("a", Enabled())
	cut()
	fake.Put("a", nil)
	list(now.Add(2*time.Hour), 5, "b", "c", "d-late", "e-late")
}
