package admin

import (
	"fmt"
	"slices"
	"time"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Runs is what the registrator's page tells beyond what the state has of it.
type Runs struct {
	Running *time.Time `json:"running"` // since when a full run is under way; null: none is
	Standby bool       `json:"standby"` // another replica makes the runs
	Recent  []Run      `json:"runs"`    // the last ones, the newest first
	Latest  []Latest   `json:"latest"`  // the changes that were made last, the newest first

	// Of the last full run that came to a plan.
	Skipped []Skipped `json:"skipped"`
	Kept    []Kept    `json:"would_delete"`
}

// Run is one that is over.
type Run struct {
	Kind        string    `json:"kind"` // sync: of all functions; look: of those that events spoke of
	Ended       time.Time `json:"ended"`
	TookSeconds float64   `json:"took_seconds"`
	Functions   int       `json:"functions"` // that were read of AWS
	Made        int       `json:"made"`      // changes
	Error       string    `json:"error"`
	Changes     []Change  `json:"changes"` // the first few of those made or tried
}

// Latest is a change that was made.
type Latest struct {
	At time.Time `json:"at"`
	Change
}

// Skipped is a function for which nothing is done.
type Skipped struct {
	Function string `json:"function"` // an ARN, or a service where no ARN can be read
	Reason   string `json:"reason"`
	Expected bool   `json:"expected"` // as it is meant to be: nobody has to see to it
}

// Kept is a service that no function asks for and that stays all the same.
type Kept struct {
	Service  string `json:"service"`
	Function string `json:"function"` // its ARN
	By       string `json:"by"`       // policy, guard, aws, tags, scope, consul
	Reason   string `json:"reason"`

	// Of Consul Enterprise; empty with the community edition.
	Namespace string `json:"namespace,omitempty"`
	Partition string `json:"partition,omitempty"`
}

// keptByScope is Kept.By of what lies in an account and region that the run did not read.
const keptByScope = "scope"

// keptBy is Kept.By for people.
func keptBy(by string) string {
	switch by {
	case "aws":
		return "AWS"
	case "tags":
		return "its tags"
	case "consul":
		return "Consul"
	}
	return by // policy, guard
}

// FullName is the service's, as a Service's is.
func (k Kept) FullName() string {
	return lambda.NewServiceName(k.Service, k.Namespace, k.Partition).String()
}

// Took is how long it took, for people.
func (r Run) Took() string {
	return time.Duration(r.TookSeconds * float64(time.Second)).Round(10 * time.Millisecond).String()
}

// More is how many changes it made beside those that are told.
func (r Run) More() int {
	told := 0
	for _, c := range r.Changes {
		if c.Undone == "" {
			told++
		}
	}
	return r.Made - told
}

// RegistratorPage is the answer of /api/v1/registrator.
type RegistratorPage struct {
	Registrator
	Runs
}

// registratorPage is nil if no registrator runs in this process. Lists are never null in it.
func (s Sources) registratorPage() *RegistratorPage {
	if s.Registrator == nil {
		return nil
	}
	page := &RegistratorPage{Registrator: s.Registrator()}
	if s.Runs != nil {
		page.Runs = s.Runs()
	}
	page.Changes, page.Skipped, page.Kept = list(page.Changes), list(page.Skipped), list(page.Kept)
	page.Recent, page.Latest = list(page.Recent), list(page.Latest)
	for i := range page.Recent {
		page.Recent[i].Changes = list(page.Recent[i].Changes)
	}
	return page
}

// conflict is Change.Kind of what was left to a person.
const conflict = "conflict"

// Conflicts are those that the last plan found.
func (p *RegistratorPage) Conflicts() some[Change] {
	return someOf(slices.DeleteFunc(slices.Clone(p.Changes), func(c Change) bool { return c.Kind != conflict }))
}

// Planned are the changes of the last plan.
func (p *RegistratorPage) Planned() some[Change] {
	return someOf(slices.DeleteFunc(slices.Clone(p.Changes), func(c Change) bool { return c.Kind == conflict }))
}

// Passed are the functions that were skipped, but for those that Staying tells of.
func (p *RegistratorPage) Passed() some[Skipped] {
	told := map[Skipped]bool{}
	for _, k := range p.Kept {
		told[Skipped{Function: k.Function, Reason: k.Reason}] = true
	}
	return someOf(slices.DeleteFunc(slices.Clone(p.Skipped), func(s Skipped) bool {
		return told[Skipped{Function: s.Function, Reason: s.Reason}]
	}))
}

// Staying is what would be deleted, but for what this registrator was not to judge.
func (p *RegistratorPage) Staying() some[Kept] {
	return someOf(slices.DeleteFunc(slices.Clone(p.Kept), func(k Kept) bool { return k.By == keptByScope }))
}

// Unread says what else stays, a line for each reason: it may be all of another account.
func (p *RegistratorPage) Unread() []string {
	count := map[string]int{}
	for _, k := range p.Kept {
		if k.By == keptByScope {
			count[k.Reason]++
		}
	}
	var lines []string
	for reason, n := range count {
		lines = append(lines, fmt.Sprintf("%s: %s", counted(n, "service", "services"), reason))
	}
	slices.Sort(lines)
	return lines
}

// Verdict is in a few words how it stands.
func (p *RegistratorPage) Verdict() Verdict {
	switch n := p.Conflicts().All; {
	case p.Standby:
		return Verdict{"Waiting", "", "Another replica of this registrator makes the runs. This one goes on when that one ends."}
	case p.Error != "":
		return Verdict{"The last run failed", "bad", ""}
	case p.LastRun == nil && p.Running != nil:
		return Verdict{"The first run is under way", "", ""}
	case p.LastRun == nil:
		return Verdict{"No run yet", "", ""}
	case n > 0:
		return Verdict{"In step, but for " + counted(n, "conflict", "conflicts"), "warn", ""}
	}
	return Verdict{"In step", "good", ""}
}

// Verdict is the first thing that a page says.
type Verdict struct {
	Words string
	Class string // good, warn, bad; empty: none of these
	More  string
}

// some is the beginning of a list that may be long.
type some[T any] struct {
	Rows []T
	All  int
}

func someOf[T any](all []T) some[T] { return some[T]{all[:min(len(all), pageRows)], len(all)} }

// More is how many are not shown.
func (s some[T]) More() int { return s.All - len(s.Rows) }
