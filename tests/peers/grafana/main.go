// Reads dashboards with Grafana's own types, strictly: a field that is unknown, of another type, or required and not there
// is a fault, at whatever depth.
//
// Prints the uid of each and how many panels it has; says what is wrong with the others, and exits with 1.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// A strict reader answers with a list of faults also where it is empty.
func fault(err error) error {
	var faults cog.BuildErrors
	if errors.As(err, &faults) && len(faults) == 0 {
		return nil
	}
	return err
}

// What the strict reader of dashboards passes over: what is inside a panel or query of a type that it does not know, and
// the units and thresholds of fields.
func inside(panel dashboard.Panel, fieldConfig json.RawMessage) error {
	if _, known := cog.NewRuntime().ConfigForPanelcfgVariant(panel.Type); !known {
		return fmt.Errorf("there is no panel of the type %s", panel.Type)
	}
	for _, query := range panel.Targets {
		if query.DataqueryType() != "prometheus" {
			return fmt.Errorf("a query is of the type %s", query.DataqueryType())
		}
	}
	return fault(new(dashboard.FieldConfigSource).UnmarshalJSONStrict(fieldConfig))
}

func read(file string) (*dashboard.Dashboard, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if err := fault(new(dashboard.Dashboard).UnmarshalJSONStrict(text)); err != nil {
		return nil, err
	}
	// The strict reader judges, and keeps less than it has read.
	found := new(dashboard.Dashboard)
	var raw struct {
		Panels []struct{ FieldConfig json.RawMessage }
	}
	if err := errors.Join(json.Unmarshal(text, found), json.Unmarshal(text, &raw)); err != nil {
		return nil, err
	}
	for at, one := range found.Panels {
		if one.Panel == nil {
			continue
		}
		if err := inside(*one.Panel, raw.Panels[at].FieldConfig); err != nil {
			return nil, fmt.Errorf("panels[%d]: %w", at, err)
		}
	}
	return found, found.Validate()
}

func main() {
	plugins.RegisterDefaultPlugins()
	wrong := false
	for _, file := range os.Args[1:] {
		if found, err := read(file); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", file, err)
			wrong = true
		} else {
			fmt.Println(*found.Uid, len(found.Panels))
		}
	}
	if wrong {
		os.Exit(1)
	}
}
