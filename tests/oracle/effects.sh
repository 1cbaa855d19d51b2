# Sourced by the steps of the fault tests: says what they do in a ledger outside the database under test.
#
# A step holds a lock for as long as anything of it lives, children in the background included: whoever starts it
# again meanwhile sees that.

say() {
	read -r now _ < /proc/uptime
	printf '{"task":"%s","attempt":%s,"phase":"%s","at":%s,"pid":%s,"job":"%s","parent":"%s"}\n' \
		"$WINDLASS_TASK_ID" "$WINDLASS_ATTEMPT" "$1" "$now" "$$" "$WINDLASS_JOB" "${PARENT:-}" >> "$LEDGER"
	sync "$LEDGER"
}

begin() {
	exec 9> "$LEDGER.$WINDLASS_TASK_ID"
	flock -n 9 || say overlap
	say start
}
