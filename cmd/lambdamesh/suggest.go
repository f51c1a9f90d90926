package main

// closest is the name that is most like a mistyped one; empty if none is within two
// letters of it.
func closest(mistyped string, names map[string]bool) string {
	best, least := "", 3
	for name := range names {
		if d := distance(mistyped, name); d < least || d == least && d < 3 && name < best {
			best, least = name, d
		}
	}
	return best
}

// distance is how many letters of one must be added, taken away or changed to get the
// other (Levenshtein's).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j]+1, row[j+1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
