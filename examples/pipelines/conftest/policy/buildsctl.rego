# What a plan may do, over `buildsctl plan --out plan.json`. Rego v1.
package main

import rego.v1

# `conftest test --data limits.yaml` overrides what stands here: `limits: {deletes: 10, protected: ["trigger/web/*"]}`.
default most_deletes := 3

most_deletes := data.limits.deletes

default protected := []

protected := data.limits.protected

ends := [change | some change in input.resource_changes; "delete" in change.change.actions]

deny contains "the plan is not complete: something could not be read" if not input.complete

deny contains message if {
	some refusal in input.refusals
	message := sprintf("refused: %s", [refusal.summary])
}

deny contains message if {
	some change in ends
	production(change)
	message := sprintf("%s: a production trigger is not to be deleted or replaced", [change.address])
}

deny contains message if {
	some change in ends
	some pattern in protected
	glob.match(pattern, null, change.address) # null: `*` crosses everything, as in buildsctl's globs
	message := sprintf("%s: protected by %s", [change.address, pattern])
}

deny contains message if {
	count(ends) > most_deletes
	message := sprintf("%d deletes and replaces, at most %d are allowed", [count(ends), most_deletes])
}

warn contains message if {
	some change in input.resource_changes
	change.not_compared
	message := sprintf("%s: its secret is not compared", [change.address])
}

# A preview trigger watches `*`, minus one branch; every other one is the Worker's production trigger.
production(change) if {
	change.type == "trigger"
	change.change.before.branch_includes != ["*"]
}
