package profile

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/memberkey/memberkey/shared/problem"
	"github.com/memberkey/memberkey/shared/username"
)

// MaxFile is the largest import, in bytes. Lambda takes 6 MB a request, less
// what base64 adds.
const MaxFile = 4 << 20

// MaxRows is the most rows of a file. A file of full rows reaches MaxFile
// first; this bounds what one of empty-looking rows can cost.
const MaxRows = 50_000

// maxCells bounds a line before it is taken apart.
const maxCells = 1000

// The columns of an import, as their headers are written.
const (
	ColumnID               = "Profile ID"
	ColumnType             = "Profile Type"
	ColumnFirstName        = "First Name"
	ColumnLastName         = "Last Name"
	ColumnOrganizationName = "Organization Name"
	ColumnEmail            = "Email"
	ColumnStatus           = "Membership Status"
	ColumnMemberSince      = "Member Since"
	ColumnRelatedTo        = "Related To"
	ColumnRelationship     = "Relationship"
	ColumnMainContact      = "Main Contact"
	ColumnCanEdit          = "Can Edit"
	ColumnDoNotEmail       = "Do Not Email"
)

// Columns are all there are. Their order in a file is free, case does not
// matter, and all but three may be left out: what a file does not tell stays
// as it is stored.
var Columns = []string{
	ColumnID, ColumnType, ColumnFirstName, ColumnLastName, ColumnOrganizationName, ColumnEmail, ColumnStatus,
	ColumnMemberSince, ColumnRelatedTo, ColumnRelationship, ColumnMainContact, ColumnCanEdit, ColumnDoNotEmail,
}

// columnOf names the column of a field of [Fields].
var columnOf = map[string]string{
	"id": ColumnID, "type": ColumnType, "firstName": ColumnFirstName, "lastName": ColumnLastName,
	"organizationName": ColumnOrganizationName, "email": ColumnEmail, "status": ColumnStatus,
	"memberSince": ColumnMemberSince, "relations": ColumnRelatedTo, "to": ColumnRelatedTo,
	"kind": ColumnRelationship, "mainContact": ColumnMainContact, "doNotEmail": ColumnDoNotEmail,
}

// Issue is a fault of a row, which is then refused, or a warning about it.
type Issue struct {
	Row    int    `json:"row"` // as a spreadsheet shows it: the header is row 1
	Column string `json:"column,omitempty"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Row is one row of a file, not yet held against what is stored.
type Row struct {
	Number int // as a spreadsheet shows it
	ID     ID
	// Fields hold what the row tells but for the relation, and not an email
	// that is empty or malformed: neither removes a stored one.
	Fields Fields
	// Relation is the one relation of the row, nil when it has none.
	Relation *Relation

	emailEmpty   bool
	emailBad     string // why, for people
	relationTold bool   // the file has the columns
	mainTold     bool
	canEditTold  bool
	faults       []Issue
	unreadable   bool // nothing of the row can be trusted
}

// File is an import whose form has been checked. Call [File.Plan] next, which
// tells every fault.
type File struct {
	Rows []Row
	ids  map[ID]int // to the first row with it, as an index of Rows
}

// Has says whether any row of the file, even a refused one, has the ID: a
// stored profile without one is missing from the file.
func (f *File) Has(id ID) bool {
	_, ok := f.ids[id]
	return ok
}

// ReadCSV reads a file in the columns of [Columns]: UTF-8 with or without BOM,
// separated by comma, semicolon or tab, quoted as in RFC 4180. What makes the
// file as a whole unreadable is the error (a *problem.Problem: csv_too_large,
// csv_encoding, csv_empty, csv_column_unknown, csv_column_twice,
// csv_column_missing, csv_cells, csv_rows, csv_quotes); a fault of one row refuses that row only.
// Rows without any text are passed over.
func ReadCSV(body []byte) (*File, error) {
	if len(body) > MaxFile {
		return nil, problem.Newf(problem.TooLarge, "csv_too_large", "", "The file is larger than %d MB. Please split it and import the parts one after the other.", MaxFile>>20)
	}
	body, err := decode(body)
	if err != nil {
		return nil, err
	}
	comma := separator(body)
	if err := checkLines(body, byte(comma)); err != nil {
		return nil, err
	}
	r := newRecords(body, comma)
	header, _, err := r.next()
	if errors.Is(err, io.EOF) {
		return nil, problem.New(problem.Invalid, "csv_empty", "", "The file is empty. Please export it again and try once more.")
	} else if err != nil {
		return nil, quotesProblem(1)
	}
	columns, err := readHeader(header)
	if err != nil {
		return nil, err
	}
	f := &File{ids: map[ID]int{}}
	for {
		cells, number, err := r.next()
		switch {
		case len(f.Rows) > MaxRows:
			return nil, problem.Newf(problem.TooLarge, "csv_rows", "", "The file has more than %d rows. Please split it and import the parts one after the other.", MaxRows)
		case errors.Is(err, io.EOF):
			if len(f.Rows) == 0 {
				return nil, problem.New(problem.Invalid, "csv_empty", "", "The file has a header but no rows. Please export it again and try once more.")
			}
			return f, nil
		case err != nil && r.spansLines():
			return nil, quotesProblem(number)
		case err != nil:
			f.refuse(number, "quote_invalid", "A quotation mark stands where none may. A cell that holds one must be quoted, with the mark written twice.")
		case blank(cells):
		case len(cells) != len(header) && r.spansLines():
			return nil, quotesProblem(number)
		case len(cells) != len(header):
			f.refuse(number, "columns_wrong", fmt.Sprintf("The row has %d cells, the header has %d. Please check for a separator too many or too few.", len(cells), len(header)))
		default:
			f.add(readRow(columns, cells, number))
		}
	}
}

func (f *File) refuse(number int, code, detail string) {
	f.Rows = append(f.Rows, Row{Number: number, unreadable: true, faults: []Issue{{Row: number, Code: code, Detail: detail}}})
}

func (f *File) add(row Row) {
	if row.ID != "" {
		if first, twice := f.ids[row.ID]; twice {
			row.fault(ColumnID, "id_duplicate", fmt.Sprintf("Profile ID %s stands in row %d already. Each profile may have one row.", row.ID, f.Rows[first].Number))
		} else {
			f.ids[row.ID] = len(f.Rows)
		}
	}
	f.Rows = append(f.Rows, row)
}

func quotesProblem(row int) error {
	return problem.Newf(problem.Invalid, "csv_quotes", "", "A quotation mark that opens in row %d is not closed there, so the rows after it cannot be told apart. Please correct that row.", row)
}

// decode refuses what is not UTF-8 and takes the byte order mark off.
func decode(body []byte) ([]byte, error) {
	encoding := func(what string) error {
		return problem.New(problem.Invalid, "csv_encoding", "", what+" Please save it as “CSV UTF-8”.")
	}
	if bytes.HasPrefix(body, []byte{0xFF, 0xFE}) || bytes.HasPrefix(body, []byte{0xFE, 0xFF}) || bytes.IndexByte(body, 0) >= 0 {
		return nil, encoding("The file is not UTF-8 text; it may be UTF-16 or a workbook.")
	}
	if !utf8.Valid(body) {
		at := 0
		for {
			r, n := utf8.DecodeRune(body[at:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			at += n
		}
		return nil, encoding(fmt.Sprintf("The file is not UTF-8 text: line %d holds a character of another encoding.", bytes.Count(body[:at], []byte("\n"))+1))
	}
	return bytes.TrimPrefix(body, []byte("\uFEFF")), nil
}

// checkLines refuses a line of so many cells that taking it apart would cost
// far more memory than the file itself.
func checkLines(body []byte, comma byte) error {
	number := 0
	for line := range bytes.Lines(body) {
		if number++; len(line) > maxCells && bytes.Count(line, []byte{comma}) > maxCells {
			return problem.Newf(problem.Invalid, "csv_cells", "", "Line %d has more than %d cells. Please export the file again.", number, maxCells)
		}
	}
	return nil
}

// records reads CSV records and numbers them as a spreadsheet does: a cell
// with line breaks is still one row, and an empty line is a row too.
type records struct {
	body   []byte
	csv    *csv.Reader
	number int
	spans  bool
}

func newRecords(body []byte, comma rune) *records {
	r := csv.NewReader(bytes.NewReader(body))
	r.Comma = comma
	r.FieldsPerRecord = -1
	return &records{body: body, csv: r}
}

// separator is the one that the header uses most.
func separator(body []byte) rune {
	counts, quoted := map[byte]int{}, false
	for _, c := range body {
		if c == '"' {
			quoted = !quoted
		}
		if c == '\n' && !quoted {
			break
		}
		if !quoted {
			counts[c]++
		}
	}
	best := ','
	for _, c := range []rune{';', '\t'} {
		if counts[byte(c)] > counts[byte(best)] {
			best = c
		}
	}
	return best
}

func (r *records) next() (cells []string, number int, err error) {
	start := int(r.csv.InputOffset())
	for rest := r.body[start:]; ; r.number++ {
		after, ok := bytes.CutPrefix(rest, []byte("\n"))
		if !ok {
			after, ok = bytes.CutPrefix(rest, []byte("\r\n"))
		}
		if !ok {
			break
		}
		rest, start = after, start+len(rest)-len(after)
	}
	r.number++
	cells, err = r.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, r.number, io.EOF
	}
	record := bytes.TrimRight(r.body[start:r.csv.InputOffset()], "\r\n")
	r.spans = bytes.IndexByte(record, '\n') >= 0
	return cells, r.number, err
}

// spansLines says whether the record read last held line breaks.
func (r *records) spansLines() bool { return r.spans }

func blank(cells []string) bool {
	for _, c := range cells {
		if strings.TrimSpace(c) != "" {
			return false
		}
	}
	return true
}

// readHeader gives the column of each place, "" for one without a name: what
// spreadsheets leave behind to the right, which must then be empty.
func readHeader(header []string) ([]string, error) {
	columns, seen := make([]string, len(header)), map[string]bool{}
	for i, h := range header {
		h = strings.Join(strings.Fields(h), " ")
		if h == "" {
			continue
		}
		for _, c := range Columns {
			if strings.EqualFold(c, h) {
				columns[i] = c
			}
		}
		switch name := cut(h, 60); {
		case columns[i] == "":
			return nil, problem.Newf(problem.Invalid, "csv_column_unknown", name, "The column “%s” is not known. The columns are: %s. Please rename or remove it.", name, strings.Join(Columns, ", "))
		case seen[columns[i]]:
			return nil, problem.Newf(problem.Invalid, "csv_column_twice", columns[i], "The column “%s” stands there twice. Please remove one of them.", columns[i])
		}
		seen[columns[i]] = true
	}
	need := []string{ColumnID, ColumnType, ColumnStatus}
	if seen[ColumnRelatedTo] || seen[ColumnRelationship] || seen[ColumnMainContact] || seen[ColumnCanEdit] {
		need = append(need, ColumnRelatedTo, ColumnRelationship)
	}
	for _, c := range need {
		if !seen[c] {
			return nil, problem.Newf(problem.Invalid, "csv_column_missing", c, "The column “%s” is missing. Please export the file with it, with the names of the columns in the first row.", c)
		}
	}
	return columns, nil
}

func (r *Row) fault(column, code, detail string) {
	r.faults = append(r.faults, Issue{Row: r.Number, Column: column, Code: code, Detail: detail})
}

// readRow reads the cells. What [Fields.Apply] checks is left to it, so that
// there is one set of rules.
func readRow(columns, cells []string, number int) Row {
	row := Row{Number: number}
	var relation Relation
	var mainContact, canEdit bool
	for i, column := range columns {
		cell := cells[i]
		text := strings.TrimSpace(cell)
		switch column {
		case "":
			if text != "" {
				row.fault("", "columns_wrong", "The row has text in a column that the header does not name.")
			}
		case ColumnID:
			row.ID = ID(text)
			if text == "" {
				row.fault(column, "id_missing", "The row has no profile ID.")
			} else if !row.ID.Valid() {
				row.fault(column, "id_invalid", "A profile ID is 1 to 40 letters, digits, dots, hyphens or underscores.")
				row.ID = ""
			}
		case ColumnType:
			t := Type(strings.ToLower(text))
			if t == "organisation" {
				t = Organization
			}
			row.Fields.Type = &t
		case ColumnFirstName:
			row.Fields.FirstName = &cell
		case ColumnLastName:
			row.Fields.LastName = &cell
		case ColumnOrganizationName:
			row.Fields.OrganizationName = &cell
		case ColumnEmail:
			if text == "" {
				row.emailEmpty = true
			} else if _, _, err := username.ParseEmail(text); err != nil {
				row.emailBad = problem.As(err).Detail
			} else {
				row.Fields.Email = &text
			}
		case ColumnStatus:
			s := Status(strings.Join(strings.Fields(strings.ToLower(text)), "-"))
			row.Fields.Status = &s
		case ColumnMemberSince:
			row.Fields.MemberSince = &text
		case ColumnRelatedTo:
			row.relationTold, relation.To = true, ID(text)
		case ColumnRelationship:
			relation.Kind = norm.NFC.String(text)
		case ColumnMainContact:
			row.mainTold, mainContact = true, row.flag(column, text)
		case ColumnCanEdit:
			row.canEditTold, canEdit = true, row.flag(column, text)
		case ColumnDoNotEmail:
			no := row.flag(column, text)
			row.Fields.DoNotEmail = &no
		}
	}
	relation.MainContact, relation.CanEdit, relation.Imported = mainContact, canEdit, true
	switch {
	case relation.To == "" && (relation.Kind != "" || mainContact || canEdit):
		row.fault(ColumnRelatedTo, "related_to_missing", "The row has a relationship but no profile that it points to.")
	case relation.To != "" && relation.Kind == "":
		row.fault(ColumnRelationship, "relationship_missing", "The row points to a profile but does not say what the relationship is, such as Employee.")
	case relation.To != "":
		row.Relation = &relation
	}
	return row
}

// flag reads a cell of yes or no; empty is no.
func (r *Row) flag(column, text string) bool {
	switch strings.ToLower(text) {
	case "y", "yes", "true", "1":
		return true
	case "", "n", "no", "false", "0":
		return false
	}
	r.fault(column, "flag_invalid", "The cell must be Y, N or empty.")
	return false
}

// safeStarts are the characters that make a spreadsheet read a cell as a
// formula (OWASP, CSV Injection), and their full-width forms.
const safeStarts = "=+-@\t\r\n＝＋－＠"

// SafeCell makes a cell of an exported CSV safe to open in a spreadsheet: what
// would be read as a formula gets an apostrophe before it, which spreadsheets
// take as "this is text". Quoting is left to encoding/csv.
func SafeCell(s string) string {
	if r, n := utf8.DecodeRuneInString(s); n > 0 && strings.ContainsRune(safeStarts, r) {
		return "'" + s
	}
	return s
}
