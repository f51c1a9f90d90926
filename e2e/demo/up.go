package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// tellAddresses says how to use what is left running.
func (d *demo) tellAddresses() error {
	env := filepath.Join(d.dir, "env.sh")
	if err := d.writeEnviron(env); err != nil {
		return err
	}
	d.say.plain("\n%s", d.say.paint("1;36", "Everything runs until you press Ctrl-C here. In another terminal:"))
	d.tellLines("Call the functions, as the program "+caller,
		curl(d.web.URL(one, requestOne.Path), requestOne),
		curl(d.web.URL(two, "/"), requestTwo))
	d.tellLines("Take echo out of the mesh by its tag, and back in",
		fmt.Sprintf("curl -X DELETE '%s?tagKeys=%s'", d.tagsURL(two), enabledTag),
		fmt.Sprintf("curl --json '{\"Tags\": {\"%s\": \"true\"}}' %s", enabledTag, d.tagsURL(two)))
	d.tellLines("Ask lambdamesh what it knows",
		fmt.Sprintf("curl http://%s/api/v1/state", d.mesh.Lambdamesh.AdminAddr()),
		fmt.Sprintf("curl http://%s/metrics", d.mesh.Lambdamesh.AdminAddr()))
	d.tellLines("Ask the Envoys (gateway, sidecar)",
		fmt.Sprintf("curl http://%s/clusters", d.gateway.Envoy.AdminAddr()),
		fmt.Sprintf("curl http://%s/clusters", d.web.Envoy.AdminAddr()))
	d.tellLines("Set addresses and tokens, then use consul and lambdamesh",
		". "+env,
		"consul intention create -replace -deny "+caller+" "+one,
		"lambdamesh sync --dry-run")
	d.say.plain("\nLogs and other files, until then: %s", d.dir)
	return nil
}

func (d *demo) tellLines(what string, commands ...string) {
	d.say.plain("\n%s:", what)
	for _, c := range commands {
		d.say.line("%s", c)
	}
}

// tagsURL is where AWS's API takes the tags of a function. The emulator asks for no
// signature there.
func (d *demo) tagsURL(function string) string {
	return d.mesh.AWS.Front.URL() + "/2017-03-31/tags/" + d.arns[function]
}

// writeEnviron writes a shell file that points the usual tools at this mesh. It holds
// tokens of this mesh alone, which end with it.
func (d *demo) writeEnviron(file string) error {
	var b strings.Builder
	for _, line := range append(d.mesh.AWS.Environ(),
		"CONSUL_HTTP_ADDR=http://"+d.mesh.Consul.HTTPAddr(),
		"CONSUL_HTTP_TOKEN="+d.mesh.Consul.ManagementToken()) {
		name, value, _ := strings.Cut(line, "=")
		fmt.Fprintf(&b, "export %s='%s'\n", name, value)
	}
	fmt.Fprintf(&b, "export PATH=\"$PATH:%s:%s\"\n", filepath.Dir(d.lambdamesh), filepath.Dir(d.consul.Path))
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", file, err)
	}
	return nil
}
