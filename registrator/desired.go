package registrator

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Want is one service that a function's tags ask for.
type Want struct {
	Service  string
	Function lambda.Function

	// KeepTimeout says that the function's timeout is not known: what the entry
	// has stays.
	KeepTimeout bool
}

// Skip is a function, or a service, for which nothing is done, and why.
type Skip struct {
	Function string `json:"function"` // an ARN, or the service's name where no ARN can be read
	Reason   string `json:"reason"`

	expected bool // nothing that a person must see to, or said otherwise
}

// Desired is what the tags ask for.
type Desired struct {
	// Wants has several for one service where functions collide.
	Wants map[string][]Want // by folded service name

	// Held are functions whose wishes cannot be read or served: nothing of theirs
	// is changed, and above all nothing is deleted.
	Held map[lambda.ARN]string // the reason, by unqualified ARN

	// Elsewhere are functions that another datacenter takes.
	Elsewhere map[lambda.ARN]bool // by unqualified ARN

	Skipped  []Skip
	Warnings []string
}

// fold is the form of a service's name under which Consul finds it: its catalog
// and its config entries take names that differ in case for one.
func fold(service string) string { return strings.ToLower(service) }

// desire reads the tags of all listed functions. datacenter is ours, empty if it
// is not known.
func desire(functions []Listed, datacenter string) Desired {
	d := Desired{
		Wants:     map[string][]Want{},
		Held:      map[lambda.ARN]string{},
		Elsewhere: map[lambda.ARN]bool{},
	}
	for _, listed := range functions {
		tagged, found, err := lambda.FromTags(listed.ARN, listed.Tags)
		if !found {
			continue
		}
		d.Warnings = append(d.Warnings, tagged.Warnings...)
		if err != nil {
			for _, mistake := range lambda.Mistakes(err) {
				d.hold(listed.ARN, mistake.Error())
			}
			continue
		}
		if !tagged.Enabled {
			continue
		}
		switch {
		case notDefault(tagged.Namespace) || notDefault(tagged.Partition):
			d.hold(listed.ARN, "it is tagged with a namespace or partition, which Consul's community edition does not have")
			continue
		case tagged.Datacenter != "" && datacenter == "":
			d.hold(listed.ARN, fmt.Sprintf("it is tagged for datacenter %s, and which datacenter this is was not said (--datacenter)", tagged.Datacenter))
			continue
		case tagged.Datacenter != "" && tagged.Datacenter != datacenter:
			d.Elsewhere[listed.ARN] = true
			d.Skipped = append(d.Skipped, Skip{
				Function: listed.ARN.String(),
				Reason:   fmt.Sprintf("it is tagged for datacenter %s, this is %s", tagged.Datacenter, datacenter),
				expected: true,
			})
			continue
		}
		for _, want := range wants(tagged, listed) {
			if why := unfit(want.Service, datacenter); why != "" {
				d.Skipped = append(d.Skipped, Skip{Function: want.Function.ARN.String(), Reason: why})
				continue
			}
			key := fold(want.Service)
			d.Wants[key] = append(d.Wants[key], want)
		}
	}
	slices.Sort(d.Warnings)
	return d
}

// wants are the services of an enabled function. A timeout in its tags goes
// before the function's own.
func wants(tagged lambda.Tagged, listed Listed) []Want {
	var all []Want
	for name, function := range tagged.Services() {
		want := Want{Service: name.Name, Function: function}
		if function.Timeout == 0 {
			want.Function.Timeout = min(listed.Timeout, lambda.MaxTimeout)
			want.KeepTimeout = listed.TimeoutUnknown
		}
		all = append(all, want)
	}
	return all
}

func (d *Desired) hold(arn lambda.ARN, reason string) {
	d.Held[arn] = reason
	d.Skipped = append(d.Skipped, Skip{Function: arn.String(), Reason: reason})
}

func notDefault(name string) bool { return name != "" && name != lambda.DefaultName }
