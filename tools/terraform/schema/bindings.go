package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"
)

// bindings is the source of one type's bindings, a file of JavaScript that was written
// by a program. Three things of it are read:
//
//	// name - computed: true, optional: true, required: false
//	    before each member of the classes of the type and of its blocks
//	name: { value: ..., isBlock: false, type: "set", storageClassType: "stringList" }
//	    for whatever may be set, in a method of the class of the type, and in a
//	    function xToHclTerraform for the block of class X
//	this.getListAttribute('name')
//	    for what can only be read
type bindings string

var (
	member  = regexp.MustCompile(`(?m)^    // (\w+) - computed: (true|false), optional: (true|false), required: (true|false)$`)
	entry   = regexp.MustCompile(`(?m)^ +(\w+): \{\n +value: .*\n +isBlock: (true|false),\n +type: "(\w+)",\n +storageClassType: "(\w+)",$`)
	getter  = regexp.MustCompile(`(tolist\()?this\.get(\w+)Attribute\(`)
	version = regexp.MustCompile(`providerVersion: '([^']+)'`)
)

// types are those of attributes by storageClassType, and of what can only be read by
// the name of its getter.
var types = map[string]string{
	"string": `"string"`, "number": `"number"`, "boolean": `"bool"`,
	"stringList": `["list","string"]`, "numberList": `["list","number"]`, "stringMap": `["map","string"]`,
	"String": `"string"`, "Number": `"number"`, "Boolean": `"bool"`,
	"List": `["list","string"]`, "NumberList": `["list","number"]`, "StringMap": `["map","string"]`,
}

// typeOf turns a list into a set where it is one. A computed list of objects is
// of any type: nothing reads it.
func typeOf(name string, isSet bool) json.RawMessage {
	found, ok := types[name]
	if !ok {
		return json.RawMessage(`"dynamic"`)
	}
	if isSet {
		found = strings.Replace(found, `"list"`, `"set"`, 1)
	}
	return json.RawMessage(found)
}

// root is the block of the class of the type itself.
func (b bindings) root() (Block, error) {
	class, err := b.between("(?m)^class (\\w+) extends cdktn.Terraform(Resource|DataSource|Provider) ", "(?m)^}")
	if err != nil {
		return Block{}, err
	}
	settable, err := bindings(class).between("    synthesizeHclAttributes\\(\\) {", "(?m)^    }")
	if err != nil {
		return Block{}, err
	}
	return b.block(class, settable)
}

// nested is the block of class name, or none where a block's members are not said (the
// provider's own).
func (b bindings) nested(name string) (block Block, isList bool, err error) {
	class, err := b.between("(?m)^class "+name+"OutputReference ", "(?m)^}")
	if err != nil {
		return Block{}, false, err
	}
	settable, err := b.between("(?m)^function "+strings.ToLower(name[:1])+name[1:]+"ToHclTerraform\\(", "(?m)^}")
	if err != nil {
		return Block{}, false, err
	}
	block, err = b.block(class, settable)
	return block, strings.Contains(string(b), "\nclass "+name+"List extends cdktn.ComplexList "), err
}

func (b bindings) block(class, settable string) (Block, error) {
	entries := map[string][]string{}
	for _, found := range entry.FindAllStringSubmatch(settable, -1) {
		entries[found[1]] = found[2:]
	}
	made := Block{Attributes: map[string]Attribute{}, Blocks: map[string]Nested{}}
	members := member.FindAllStringSubmatchIndex(class, -1)
	for i, at := range members {
		end := len(class)
		if i+1 < len(members) {
			end = members[i+1][0]
		}
		text := func(group int) string { return class[at[2*group]:at[2*group+1]] }
		name := text(1)
		computed, optional, required := text(2) == "true", text(3) == "true", text(4) == "true"
		set := entries[name]
		delete(entries, name)
		if set != nil && set[0] == "true" {
			inner, isList, err := b.nested(strings.TrimSuffix(set[2], "List"))
			if err != nil {
				return Block{}, fmt.Errorf("block %s: %w", name, err)
			}
			nested := Nested{Nesting: set[1], Block: inner}
			switch {
			case nested.Nesting == "struct":
				nested.Nesting = "single"
			case !isList:
				nested.MaxItems = 1
			}
			if required {
				nested.MinItems = 1
			}
			made.Blocks[name] = nested
			continue
		}
		attribute := Attribute{Required: required, Optional: optional, Computed: computed}
		if set != nil {
			attribute.Type = typeOf(set[2], set[1] == "set")
		} else if found := getter.FindStringSubmatch(class[at[1]:end]); found != nil {
			attribute.Type = typeOf(found[2], found[1] != "")
		} else {
			attribute.Type = typeOf("", false)
		}
		made.Attributes[name] = attribute
	}
	for name := range maps.Keys(entries) {
		return Block{}, fmt.Errorf("%s is set and is no member", name)
	}
	if len(members) == 0 {
		return Block{}, fmt.Errorf("it has no members")
	}
	return made, nil
}

// between is the text from where one pattern matches to where another does after it.
func (b bindings) between(from, to string) (string, error) {
	start := regexp.MustCompile(from).FindStringIndex(string(b))
	if start == nil {
		return "", fmt.Errorf("nothing matches %s", from)
	}
	end := regexp.MustCompile(to).FindStringIndex(string(b)[start[1]:])
	if end == nil {
		return "", fmt.Errorf("nothing ends %s", from)
	}
	return string(b)[start[0] : start[1]+end[1]], nil
}
