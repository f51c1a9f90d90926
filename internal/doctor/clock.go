package doctor

import (
	"fmt"
	"time"
)

// clock is how far this machine's may differ from somebody's.
type clock struct {
	whose string
	warn  time.Duration // from here on it is worth a word
	fail  time.Duration // zero: never
	next  string        // why it matters
}

var (
	// AWS refuses signatures that are 5 minutes off, by the documentation of Signature
	// Version 4. The SDK of this process corrects itself by AWS's Date and goes on, which
	// Envoy's signer does not.
	awsClock = clock{
		"AWS's", 150 * time.Second, 5 * time.Minute,
		"set it by NTP: AWS refuses a signature that is 5 minutes off (Signature expired, Signature not yet current), and so the calls of an Envoy on a machine like this one",
	}

	// Consul 1.22.5 makes certificates valid from a minute before it signs them
	// (agent/connect/ca, CertificateTimeDriftBuffer).
	consulClock = clock{
		"Consul's", time.Minute, 0,
		"set both by NTP: the certificates of proxies are valid from a minute before Consul signs them, and an Envoy whose clock is further behind takes none that is new",
	}
)

// check notes how far this machine's clock is ahead.
func (c clock) check(r *Report, ahead time.Duration) {
	text := fmt.Sprintf("this machine's differs from %s by %s", c.whose, ahead.Round(time.Second))
	name := "clock, " + c.whose
	switch {
	case c.fail > 0 && ahead.Abs() >= c.fail:
		r.add(name, Fail, text, c.next)
	case ahead.Abs() >= c.warn:
		r.add(name, Warn, text, c.next)
	default:
		r.add(name, OK, text, "")
	}
}
