// The three operations on tasks as a Go service would offer them: net/http, pgx with its pool, which prepares each statement once
// a connection. Driven by ../contest.py: PORT, DATABASE_URL and JWT_SECRET say where; POOL is the number of connections.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

const columns = `t.id::text, t.summary, t.description, t.due_at, t.is_complete, t.user_id::text, p.code, p.label, p.description, p.ordinal,
	t.created_at, t.updated_at`

const selectOne = `SELECT ` + columns + ` FROM task t JOIN task_priority p ON p.code = t.priority_code WHERE t.id = $1 AND t.user_id = $2`

const selectPage = `SELECT ` + columns + ` FROM task t JOIN task_priority p ON p.code = t.priority_code WHERE t.user_id = $1
	ORDER BY t.created_at DESC, t.id DESC LIMIT $2`

const insertOne = `WITH t AS (INSERT INTO task (id, user_id, summary, description, due_at, is_complete, priority_code)
	VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *)
	SELECT ` + columns + ` FROM t JOIN task_priority p ON p.code = t.priority_code`

type priority struct {
	Code        string `json:"code"`
	Label       string `json:"label"`
	Description string `json:"description"`
	Ordinal     int    `json:"ordinal"`
}

type task struct {
	ID               string     `json:"id"`
	Summary          string     `json:"summary"`
	Description      *string    `json:"description,omitempty"`
	DueAt            *time.Time `json:"dueAt,omitempty"`
	IsComplete       bool       `json:"isComplete"`
	UserID           string     `json:"userId"`
	TaskPriorityCode string     `json:"taskPriorityCode"`
	TaskPriority     priority   `json:"taskPriority"`
	CreatedAt        time.Time  `json:"createdAt"`
	UpdatedAt        time.Time  `json:"updatedAt"`
}

var (
	secret = []byte(os.Getenv("JWT_SECRET"))
	pool   *pgxpool.Pool
)

func fail(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

// The user of a token that is ours and lives: HS256, and nothing else.
func user(r *http.Request) (string, error) {
	header := r.Header.Get("Authorization")
	token := strings.TrimPrefix(header, "Bearer ")
	parts := strings.Split(token, ".")
	if token == header || len(parts) != 3 {
		return "", errors.New("no token")
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(parts[0] + "." + parts[1]))
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !hmac.Equal(signature, mac.Sum(nil)) {
		return "", errors.New("forged")
	}
	var head struct{ Alg string }
	var claims struct {
		Sub string
		Exp int64
	}
	for i, into := range []any{&head, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(text, into) != nil {
			return "", errors.New("malformed")
		}
	}
	if head.Alg != "HS256" || claims.Exp <= time.Now().Unix() {
		return "", errors.New("expired")
	}
	return claims.Sub, nil
}

func scan(row pgx.Row) (t task, err error) {
	p := &t.TaskPriority
	err = row.Scan(&t.ID, &t.Summary, &t.Description, &t.DueAt, &t.IsComplete, &t.UserID, &p.Code, &p.Label, &p.Description, &p.Ordinal,
		&t.CreatedAt, &t.UpdatedAt)
	t.TaskPriorityCode = p.Code
	return
}

func getOne(w http.ResponseWriter, r *http.Request, caller string) {
	t, err := scan(pool.QueryRow(r.Context(), selectOne, strings.TrimPrefix(r.URL.Path, "/v1/tasks/"), caller))
	if errors.Is(err, pgx.ErrNoRows) {
		fail(w, http.StatusNotFound)
	} else if err != nil {
		fail(w, http.StatusInternalServerError)
	} else {
		answer(w, http.StatusOK, t)
	}
}

func list(w http.ResponseWriter, r *http.Request, caller string) {
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || limit < 1 || limit > 1000 {
		fail(w, http.StatusBadRequest)
		return
	}
	rows, err := pool.Query(r.Context(), selectPage, caller, limit)
	if err != nil {
		fail(w, http.StatusInternalServerError)
		return
	}
	defer rows.Close()
	tasks := make([]task, 0, limit)
	for rows.Next() {
		t, err := scan(rows)
		if err != nil {
			fail(w, http.StatusInternalServerError)
			return
		}
		tasks = append(tasks, t)
	}
	answer(w, http.StatusOK, tasks)
}

func create(w http.ResponseWriter, r *http.Request, caller string) {
	var given struct {
		Summary          string
		Description      *string
		DueAt            *time.Time
		IsComplete       bool
		TaskPriorityCode string
	}
	if json.NewDecoder(r.Body).Decode(&given) != nil || given.Summary == "" {
		fail(w, http.StatusBadRequest)
		return
	}
	var id [16]byte
	rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	t, err := scan(pool.QueryRow(r.Context(), insertOne, id, caller, given.Summary, given.Description, given.DueAt, given.IsComplete,
		given.TaskPriorityCode))
	if err != nil {
		fail(w, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Location", "/v1/tasks/"+t.ID)
	answer(w, http.StatusCreated, t)
}

func serve(w http.ResponseWriter, r *http.Request) {
	caller, err := user(r)
	switch {
	case err != nil:
		fail(w, http.StatusUnauthorized)
	case r.URL.Path == "/v1/tasks" && r.Method == http.MethodGet:
		list(w, r, caller)
	case r.URL.Path == "/v1/tasks" && r.Method == http.MethodPost:
		create(w, r, caller)
	case strings.HasPrefix(r.URL.Path, "/v1/tasks/") && r.Method == http.MethodGet:
		getOne(w, r, caller)
	default:
		fail(w, http.StatusNotFound)
	}
}

func main() {
	config, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	if count, err := strconv.Atoi(os.Getenv("POOL")); err == nil {
		config.MaxConns = int32(count)
		config.MinConns = int32(count)
	}
	pool, err = pgxpool.ConnectConfig(context.Background(), config)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(serve)))
}
