-- A file as version 1 made it: frozen. Later versions must open it and find all of this.
PRAGMA application_id = 1381253974;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE conversations (
        key INTEGER PRIMARY KEY AUTOINCREMENT, user INTEGER NOT NULL, hash BLOB NOT NULL UNIQUE,
        created INTEGER NOT NULL, fork_conversation INTEGER, fork_turn INTEGER,
        tip_turn INTEGER, tip_after INTEGER NOT NULL
    );
INSERT INTO "conversations" VALUES(1,1,X'FB0987F7239AA5A1EA9CD63AAAA694E6',1767268800123456,NULL,NULL,1,5);
INSERT INTO "conversations" VALUES(2,1,X'F83E212BF31A7067E97FEA00BFD3AF53',1767268800123456,1,1,NULL,0);
INSERT INTO "conversations" VALUES(3,2,X'7FB6BCA70F1858066CD8EAB5FFCEB791',1767268800123456,NULL,NULL,NULL,0);
CREATE TABLE descriptions (
        key INTEGER PRIMARY KEY, conversation INTEGER NOT NULL UNIQUE, id TEXT NOT NULL, metadata TEXT NOT NULL
    );
INSERT INTO "descriptions" VALUES(1,1,'c','{"a": 1}');
INSERT INTO "descriptions" VALUES(2,2,'f','{}');
INSERT INTO "descriptions" VALUES(3,3,'c','{}');
CREATE TABLE entries (
        key INTEGER PRIMARY KEY, turn INTEGER NOT NULL UNIQUE, user INTEGER NOT NULL, conversation INTEGER NOT NULL,
        stems INTEGER NOT NULL, id TEXT NOT NULL
    );
INSERT INTO "entries" VALUES(1,1,1,1,2,'a');
INSERT INTO "entries" VALUES(2,2,1,1,2,'b');
INSERT INTO "entries" VALUES(3,3,1,2,1,'x');
CREATE TABLE feedback (
        key INTEGER PRIMARY KEY, turn INTEGER NOT NULL, hash BLOB NOT NULL, body TEXT NOT NULL, UNIQUE (turn, hash)
    );
INSERT INTO "feedback" VALUES(1,2,X'50011C251DBD820EE74575F281A3A4EB','{"id":"r","stars":4.0,"comment":null,"aspects":{},"by":null,"created_at":"2026-01-01T12:00:00.123456Z","metadata":{}}');
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO "meta" VALUES('erasing',0);
INSERT INTO "meta" VALUES('salt',X'000102030405060708090A0B0C0D0E0F');
CREATE TABLE postings (
        word INTEGER, entry INTEGER, frequency INTEGER NOT NULL, PRIMARY KEY (word, entry)
    ) WITHOUT ROWID;
INSERT INTO "postings" VALUES(-8995032750874430243,2,1);
INSERT INTO "postings" VALUES(-8551775845096744344,1,1);
INSERT INTO "postings" VALUES(-8551775845096744344,3,1);
INSERT INTO "postings" VALUES(-475940478127095084,1,1);
INSERT INTO "postings" VALUES(9013132947515164057,2,1);
CREATE TABLE scopes (
        user INTEGER, conversation INTEGER, turns INTEGER NOT NULL, stems INTEGER NOT NULL,
        PRIMARY KEY (user, conversation)
    ) WITHOUT ROWID;
INSERT INTO "scopes" VALUES(1,1,2,4);
INSERT INTO "scopes" VALUES(1,2,1,1);
CREATE TABLE turns (
        number INTEGER PRIMARY KEY, conversation INTEGER NOT NULL, parent INTEGER, hash BLOB NOT NULL,
        id TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (conversation, hash)
    );
INSERT INTO "turns" VALUES(1,1,NULL,X'7448381366D4960BE168A31AC6C187C2','a','{"id":"a","role":"user","content":"Old cats","created_at":"2026-01-01T12:00:00.123456Z","metadata":{},"document_ids":[],"tool_calls":[],"tool_call_id":null,"name":null,"parts":[],"token_counts":{},"feedback":[]}');
INSERT INTO "turns" VALUES(2,1,1,X'E7CA8548B54CA35E1B75BDB9E73B7D54','b','{"id":"b","role":"user","content":"New dogs","created_at":"2026-01-01T12:00:00.123456Z","metadata":{},"document_ids":[],"tool_calls":[],"tool_call_id":null,"name":null,"parts":[],"token_counts":{},"feedback":[]}');
INSERT INTO "turns" VALUES(3,2,1,X'BC7A8FAA15B25845F5EFEA02B000F2D0','x','{"id":"x","role":"user","content":"Other cats","created_at":"2026-01-01T12:00:00.123456Z","metadata":{},"document_ids":[],"tool_calls":[],"tool_call_id":null,"name":null,"parts":[],"token_counts":{},"feedback":[]}');
INSERT INTO "turns" VALUES(4,3,NULL,X'7448381366D4960BE168A31AC6C187C2','a','{"id":"a","role":"user","content":"Nobody","created_at":"2026-01-01T12:00:00.123456Z","metadata":{},"document_ids":[],"tool_calls":[],"tool_call_id":null,"name":null,"parts":[],"token_counts":{},"feedback":[]}');
INSERT INTO "turns" VALUES(5,1,2,X'A96994CF524B5006ED68B5AF5D1E7D88','d','{"id":"d","role":"user","content":"Not indexed cats","created_at":"2026-01-01T12:00:00.123456Z","metadata":{},"document_ids":[],"tool_calls":[],"tool_call_id":null,"name":null,"parts":[],"token_counts":{},"feedback":[]}');
CREATE TABLE users (key INTEGER PRIMARY KEY AUTOINCREMENT, hash BLOB NOT NULL UNIQUE, name TEXT);
INSERT INTO "users" VALUES(1,X'9A194FC0E0AD6B83E80368EE696EA975','Ann');
INSERT INTO "users" VALUES(2,X'E1EB9C2A95205C19A7BE1AD4007C792D',NULL);
CREATE TABLE watermarks (user INTEGER PRIMARY KEY, number INTEGER NOT NULL);
INSERT INTO "watermarks" VALUES(1,4);
CREATE INDEX conversations_by_user ON conversations (user, created);
CREATE INDEX conversations_by_origin ON conversations (fork_conversation) WHERE fork_conversation IS NOT NULL;
CREATE INDEX turns_by_conversation ON turns (conversation);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('users',2);
INSERT INTO "sqlite_sequence" VALUES('conversations',3);
COMMIT;
