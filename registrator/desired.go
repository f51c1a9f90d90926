package registrator

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/lambdamesh/lambdamesh/lambda"
)

// Want is one service that a function's tags ask for.
type Want struct {
	Service  string
	Function lambda.Function
	at       tenancy

	// KeepTimeout says that the function's timeout is not known: what the entry
	// has stays.
	KeepTimeout bool
}

// Skip is a function, or a service, for which nothing is done, and why.
type Skip struct {
	Function string `json:"function"` // an ARN, or the service's name where no ARN can be read
	Reason   string `json:"reason"`

	expected bool
}

// Expected reports whether it is as it is meant to be, or said otherwise: no person has
// to see to it.
func (s Skip) Expected() bool { return s.expected }

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

// within is what they ask for in one tenancy. What is skipped is not of any.
func (d Desired) within(at tenancy) Desired {
	d.Skipped = nil
	if at == (tenancy{}) { // there is no other
		return d
	}
	some := map[string][]Want{}
	for name, wants := range d.Wants {
		for _, want := range wants {
			if want.at == at {
				some[name] = append(some[name], want)
			}
		}
	}
	d.Wants = some
	return d
}

// skipOutside takes out what is wanted in a namespace that is not one of these.
func (d *Desired) skipOutside(tenancies []tenancy) {
	for name, wants := range d.Wants {
		d.Wants[name] = slices.DeleteFunc(wants, func(want Want) bool {
			if slices.Contains(tenancies, want.at) {
				return false
			}
			d.Skipped = append(d.Skipped, Skip{
				Function: want.Function.ARN.String(),
				Reason: fmt.Sprintf("service %s: partition %s has no namespace %s, or Consul's token may not see it",
					want.Service, want.at.partition, want.at.namespace),
			})
			return true
		})
	}
}

// desire reads the tags of all listed functions; here is where we are.
func desire(functions []Listed, here place) Desired {
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
		case len(here.partitions) == 0 && (notDefault(tagged.Namespace) || notDefault(tagged.Partition)):
			d.hold(listed.ARN, "it is tagged with a namespace or partition, which Consul's community edition does not have (Consul Enterprise: --enterprise)")
			continue
		case tagged.Datacenter != "" && here.datacenter == "":
			d.hold(listed.ARN, fmt.Sprintf("it is tagged for datacenter %s, and which datacenter this is was not said (--datacenter)", tagged.Datacenter))
			continue
		case tagged.Datacenter != "" && tagged.Datacenter != here.datacenter:
			d.Elsewhere[listed.ARN] = true
			d.Skipped = append(d.Skipped, Skip{
				Function: listed.ARN.String(),
				Reason:   fmt.Sprintf("it is tagged for datacenter %s, this is %s", tagged.Datacenter, here.datacenter),
				expected: true,
			})
			continue
		}
		at, ok := here.tenancy(tagged)
		if !ok {
			d.Skipped = append(d.Skipped, Skip{
				Function: listed.ARN.String(),
				Reason:   fmt.Sprintf("it is tagged for partition %s, which is not one of --partitions", at.partition),
				expected: true,
			})
			continue
		}
		if listed.NoURL != "" {
			d.hold(listed.ARN, listed.NoURL)
			continue
		}
		for _, want := range wants(tagged, listed) {
			want.at = at
			if why := unfit(want.Service, at, here.datacenter); why != "" {
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

// tenancy is where a function's services go; ok is false where it is not ours.
func (p place) tenancy(tagged lambda.Tagged) (at tenancy, ok bool) {
	if len(p.partitions) == 0 {
		return tenancy{}, true
	}
	at = tenancy{cmp.Or(tagged.Partition, lambda.DefaultName), cmp.Or(tagged.Namespace, lambda.DefaultName)}
	return at, slices.Contains(p.partitions, at.partition)
}

// wants are the services of an enabled function. A timeout in its tags goes
// before the function's own, and so does a URL.
func wants(tagged lambda.Tagged, listed Listed) []Want {
	var all []Want
	for name, function := range tagged.Services() {
		want := Want{Service: name.Name, Function: function}
		if function.Timeout == 0 {
			want.Function.Timeout = min(listed.Timeout, lambda.MaxTimeout)
			want.KeepTimeout = listed.TimeoutUnknown
		}
		if function.URL && function.FunctionURL == "" {
			want.Function.FunctionURL = listed.URLs[function.ARN]
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
