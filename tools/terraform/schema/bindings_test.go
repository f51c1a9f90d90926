package schema

import (
	"encoding/json"
	"strings"
	"testing"
)

// made has each kind of member: a required and a computed argument, what can only be read,
// a single block, one that may be there often, and timeouts.
const made = `
function thingSinkToHclTerraform(struct) {
    const attrs = {
        arn: {
            value: cdktn.stringToHclTerraform(struct.arn),
            isBlock: false,
            type: "simple",
            storageClassType: "string",
        },
    };
}
class ThingSinkOutputReference extends cdktn.ComplexObject {
    // arn - computed: false, optional: false, required: true
    _arn;
}
function thingRuleToHclTerraform(struct) {
    const attrs = {
        ports: {
            value: cdktn.listMapperHcl(cdktn.numberToHclTerraform, false)(struct.ports),
            isBlock: false,
            type: "set",
            storageClassType: "numberList",
        },
    };
}
class ThingRuleOutputReference extends cdktn.ComplexObject {
    // ports - computed: false, optional: true, required: false
    _ports;
}
class ThingRuleList extends cdktn.ComplexList {
}
function thingTimeoutsToHclTerraform(struct) {
    const attrs = {
        create: {
            value: cdktn.stringToHclTerraform(struct.create),
            isBlock: false,
            type: "simple",
            storageClassType: "string",
        },
    };
}
class ThingTimeoutsOutputReference extends cdktn.ComplexObject {
    // create - computed: false, optional: true, required: false
    _create;
}
class Thing extends cdktn.TerraformResource {
    // name - computed: false, optional: false, required: true
    _name;
    get name() {
        return this.getStringAttribute('name');
    }
    // tags - computed: true, optional: true, required: false
    _tags;
    get tags() {
        return this.getStringMapAttribute('tags');
    }
    // zones - computed: true, optional: false, required: false
    get zones() {
        return cdktn.Fn.tolist(this.getListAttribute('zones'));
    }
    // rule - computed: false, optional: true, required: false
    _rule = new ThingRuleList(this, "rule", true);
    // sink - computed: false, optional: false, required: true
    _sink = new ThingSinkOutputReference(this, "sink");
    // timeouts - computed: false, optional: true, required: false
    _timeouts = new ThingTimeoutsOutputReference(this, "timeouts");
    synthesizeHclAttributes() {
        const attrs = {
            name: {
                value: cdktn.stringToHclTerraform(this._name),
                isBlock: false,
                type: "simple",
                storageClassType: "string",
            },
            tags: {
                value: cdktn.hashMapperHcl(cdktn.stringToHclTerraform)(this._tags),
                isBlock: false,
                type: "map",
                storageClassType: "stringMap",
            },
            rule: {
                value: cdktn.listMapperHcl(thingRuleToHclTerraform, true)(this._rule.internalValue),
                isBlock: true,
                type: "set",
                storageClassType: "ThingRuleList",
            },
            sink: {
                value: thingSinkToHclTerraform(this._sink.internalValue),
                isBlock: true,
                type: "list",
                storageClassType: "ThingSinkList",
            },
            timeouts: {
                value: thingTimeoutsToHclTerraform(this._timeouts.internalValue),
                isBlock: true,
                type: "struct",
                storageClassType: "ThingTimeouts",
            },
        };
    }
}
`

const want = `{
 "attributes": {
  "name": {"type": "string", "required": true},
  "tags": {"type": ["map","string"], "optional": true, "computed": true},
  "zones": {"type": ["set","string"], "computed": true}
 },
 "block_types": {
  "rule": {"nesting_mode": "set", "block": {"attributes": {"ports": {"type": ["set","number"], "optional": true}}}},
  "sink": {"nesting_mode": "list", "block": {"attributes": {"arn": {"type": "string", "required": true}}}, "min_items": 1, "max_items": 1},
  "timeouts": {"nesting_mode": "single", "block": {"attributes": {"create": {"type": "string", "optional": true}}}}
 }
}`

func TestBindings(t *testing.T) {
	block, err := bindings(made).root()
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(block)
	if err != nil {
		t.Fatal(err)
	}
	if squeezed := strings.NewReplacer(" ", "", "\n", "").Replace(want); string(got) != squeezed {
		t.Errorf("got  %s\nwant %s", got, squeezed)
	}
}

// What is written in another way than this package knows is an error, and not a schema
// with less in it.
func TestBindingsOfAnotherForm(t *testing.T) {
	for name, changed := range map[string]string{
		"no such class":             strings.Replace(made, "cdktn.TerraformResource", "cdktn.Other", 1),
		"members said otherwise":    strings.ReplaceAll(made, "- computed: ", "- known later: "),
		"an argument and no member": strings.Replace(made, "// tags - computed: true", "// tags: true", 1),
		"a block without its class": strings.Replace(made, "class ThingSinkOutputReference", "class Other", 1),
	} {
		if block, err := bindings(changed).root(); err == nil {
			t.Errorf("%s: %+v", name, block)
		}
	}
}
