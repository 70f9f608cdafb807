// The JDBC driver of PostgreSQL: see steps.txt. Prints `step<TAB>line`.

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.UUID;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;
import org.postgresql.copy.CopyOut;
import org.postgresql.core.BaseConnection;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

public class JdbcClient {
    interface Action {
        void run() throws Exception;
    }

    static String port;
    static final PrintStream OUT = new PrintStream(System.out, true, java.nio.charset.StandardCharsets.UTF_8);
    static final DateTimeFormatter MOMENT = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss.SSS");

    static Connection connect(String more) throws SQLException {
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + port + "/millrace?user=ada" + more;
        return DriverManager.getConnection(url);
    }

    static void tell(String step, Object... lines) {
        for (Object line : lines) OUT.println(step + "\t" + line);
    }

    static String one(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            rows.next();
            return rows.getString(1);
        }
    }

    static String code(Action action) throws Exception {
        try {
            action.run();
        } catch (SQLException error) {
            return error.getSQLState();
        }
        return "none";
    }

    static String orNull(Object value) {
        return value == null ? "null" : value.toString();
    }

    static String hex(byte[] bytes) {
        StringBuilder text = new StringBuilder();
        for (byte each : bytes) text.append(String.format("%02x", each));
        return text.toString();
    }

    /** A row of the table of types, decoded. */
    static String decoded(ResultSet rows) throws SQLException {
        LocalDateTime timestamp = rows.getObject("ts", LocalDateTime.class);
        OffsetDateTime moment = rows.getObject("tz", OffsetDateTime.class);
        byte[] bytes = rows.getBytes("y");
        Object[] values = {
            rows.getObject("b"), rows.getObject("s"), rows.getObject("i"), rows.getObject("l"), rows.getObject("r"),
            rows.getObject("d"), rows.getObject("n"), rows.getObject("t"), rows.getObject("da", LocalDate.class),
            timestamp == null ? null : timestamp.format(MOMENT),
            moment == null ? null : moment.withOffsetSameInstant(ZoneOffset.UTC).format(MOMENT) + " UTC",
            rows.getObject("u"), bytes == null ? null : hex(bytes),
        };
        StringBuilder text = new StringBuilder();
        for (Object value : values) text.append(text.length() == 0 ? "" : "|").append(orNull(value));
        return text.toString();
    }

    static String orEmpty(String text) {
        return text == null ? "" : text;
    }

    public static void main(String[] arguments) throws Exception {
        port = arguments[0];
        Connection a = connect("");
        Connection b = connect("");
        tell("connect", one(a, "SELECT current_database()"));

        String types = "SELECT * FROM types ORDER BY b";
        try (Connection texts = connect("&binaryTransfer=false&preferQueryMode=simple");
                ResultSet rows = texts.createStatement().executeQuery(types)) {
            while (rows.next()) {
                StringBuilder text = new StringBuilder();
                for (int column = 1; column <= 13; column++) {
                    // getBytes gives the value as it came, but for bytea.
                    byte[] raw = column == 13 ? null : rows.getBytes(column);
                    String value = column == 13 ? rows.getString(column) : raw == null ? null : new String(raw, "UTF-8");
                    text.append(column == 1 ? "" : "|").append(orNull(value));
                }
                tell("types-text", text.toString());
            }
        }
        // A negative threshold asks for binary from the first execution on.
        try (Connection binary = connect("&prepareThreshold=-1");
                PreparedStatement statement = binary.prepareStatement(types);
                ResultSet rows = statement.executeQuery()) {
            while (rows.next()) tell("types-binary", decoded(rows));
        }

        String insert = "INSERT INTO types VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING *";
        try (PreparedStatement statement = a.prepareStatement(insert)) {
            statement.setBoolean(1, true);
            statement.setShort(2, (short) -5);
            statement.setInt(3, 7);
            statement.setLong(4, 9007199254740993L);
            statement.setFloat(5, 0.5f);
            statement.setDouble(6, -0.25);
            statement.setBigDecimal(7, new BigDecimal("12.34"));
            statement.setString(8, "é'\\");
            statement.setObject(9, LocalDate.of(2020, 2, 29));
            statement.setObject(10, LocalDateTime.of(2020, 2, 29, 12, 34, 56, 789_000_000));
            statement.setObject(11, OffsetDateTime.of(2020, 2, 29, 12, 34, 56, 789_000_000, ZoneOffset.UTC));
            statement.setObject(12, UUID.fromString("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"));
            statement.setBytes(13, new byte[] {0, -1});
            try (ResultSet rows = statement.executeQuery()) {
                rows.next();
                tell("parameters", decoded(rows));
            }
        }

        try (PreparedStatement statement = a.prepareStatement("SELECT ?::int + 1")) {
            ((org.postgresql.PGStatement) statement).setPrepareThreshold(1);
            for (int number : new int[] {1, 41}) {
                statement.setInt(1, number);
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    tell("prepared", rows.getInt(1));
                }
            }
        }

        batch(a, 1, 2, 3);
        tell("batch", one(a, "SELECT count(*) FROM k"));
        a.setAutoCommit(false);
        String failed = "none";
        try {
            batch(a, 4, 1, 5);
        } catch (BatchUpdateException error) {
            failed = error.getSQLState();
        }
        a.rollback();
        a.setAutoCommit(true);
        tell("batch-error", failed, one(a, "SELECT count(*) FROM k"));

        CopyManager copies = a.unwrap(PGConnection.class).getCopyAPI();
        copies.copyIn("COPY copied FROM STDIN", new StringReader("1\tone\n2\ttwo, and\n"));
        tell("copy-in", one(a, "SELECT count(*) FROM copied"));
        StringWriter lines = new StringWriter();
        copies.copyOut("COPY (SELECT * FROM copied ORDER BY id) TO STDOUT", lines);
        tell("copy-out", (Object[]) lines.toString().replace('\t', ' ').split("\n"));
        ByteArrayOutputStream file = new ByteArrayOutputStream();
        copies.copyOut("COPY types TO STDOUT (FORMAT binary)", file);
        copies.copyIn("COPY more_types FROM STDIN (FORMAT binary)", new ByteArrayInputStream(file.toByteArray()));
        tell("copy-binary", one(a, "SELECT count(*) FROM more_types"));

        Statement run = a.createStatement();
        for (boolean commits : new boolean[] {false, true}) {
            a.setAutoCommit(false);
            run.execute("INSERT INTO moved VALUES (1)");
            if (commits) a.commit();
            else a.rollback();
            a.setAutoCommit(true);
            tell("transaction", one(a, "SELECT count(*) FROM moved"));
        }

        BaseConnection inside = a.unwrap(BaseConnection.class);
        tell("status", status(inside));
        a.setAutoCommit(false);
        run.execute("SELECT 1");
        tell("status", status(inside));
        code(() -> run.execute("SELECT 1/0"));
        tell("status", status(inside));
        a.rollback();
        tell("status", status(inside));

        tell("failed-block", code(() -> run.execute("SELECT 1/0")), code(() -> run.execute("SELECT 1")));
        a.rollback();

        run.execute("INSERT INTO moved VALUES (2)");
        java.sql.Savepoint savepoint = a.setSavepoint("s");
        code(() -> run.execute("SELECT 1/0"));
        a.rollback(savepoint);
        run.execute("INSERT INTO moved VALUES (3)");
        a.commit();
        a.setAutoCommit(true);
        try (ResultSet rows = run.executeQuery("SELECT id FROM moved WHERE id > 1 ORDER BY id")) {
            while (rows.next()) tell("savepoint", rows.getInt(1));
        }

        for (String sql : new String[] {
            "INSERT INTO k VALUES (1, 'x', 1)", "INSERT INTO k VALUES (9, 'x', -1)", "INSERT INTO k VALUES (9, NULL, 1)",
            "SELECT nope FROM k",
        }) {
            try {
                run.execute(sql);
            } catch (PSQLException error) {
                ServerErrorMessage told = error.getServerErrorMessage();
                String names = String.join("|", told.getSQLState(), orEmpty(told.getSchema()), orEmpty(told.getTable()),
                    orEmpty(told.getColumn()), orEmpty(told.getConstraint()), orEmpty(told.getDetail()));
                tell("error-fields", told.getPosition() > 0 ? told.getSQLState() + "|" + told.getPosition() : names);
            }
        }

        StringBuilder many = new StringBuilder();
        for (int number = 0; number < 1000; number++) many.append(number).append('\n');
        b.unwrap(PGConnection.class).getCopyAPI().copyIn("COPY many FROM STDIN", new StringReader(many.toString()));
        a.setAutoCommit(false);
        try (Statement fetching = a.createStatement()) {
            fetching.setFetchSize(100);
            int count = 0;
            long sum = 0;
            try (ResultSet rows = fetching.executeQuery("SELECT id FROM many")) {
                for (; rows.next(); count++) sum += rows.getInt(1);
            }
            tell("cursor", count + "|" + sum);
        }
        a.commit();

        try (Statement following = a.createStatement()) {
            following.setFetchSize(1);
            try (ResultSet rows = following.executeQuery("SUBSCRIBE live")) {
                rows.next();
                tell("live", rows.getString(2) + "|" + rows.getString(3) + "|" + rows.getString(4));
                b.createStatement().execute("INSERT INTO live VALUES (2, 'two')");
                rows.next();
                tell("live", rows.getString(2) + "|" + rows.getString(3) + "|" + rows.getString(4));
            }
        }
        a.commit();

        run.execute("DECLARE c CURSOR FOR SUBSCRIBE live WITH (SNAPSHOT = false)");
        b.createStatement().execute("INSERT INTO live VALUES (3, 'three')");
        try (ResultSet rows = run.executeQuery("FETCH 1 FROM c")) {
            rows.next();
            tell("live-cursor", rows.getString(2) + "|" + rows.getString(3) + "|" + rows.getString(4));
        }
        try (ResultSet rows = run.executeQuery("FETCH ALL FROM c WITH (timeout = '10ms')")) {
            tell("live-cursor", rows.next() ? 1 : 0);
        }
        a.commit();
        a.setAutoCommit(true);

        CopyOut endless = copies.copyOut("COPY (SUBSCRIBE live) TO STDOUT");
        endless.readFromCopy();
        a.unwrap(PGConnection.class).cancelQuery();
        tell("cancel", code(() -> {
            while (endless.readFromCopy() != null) { }
        }));

        run.execute("SET statement_timeout = '50ms'");
        tell("timeout", code(() -> run.execute("SUBSCRIBE live")));
        run.execute("RESET statement_timeout");
        tell("timeout", one(a, "SELECT 1"));

        run.clearWarnings();
        run.execute("DROP TABLE IF EXISTS nowhere");
        tell("notice", run.getWarnings().getSQLState() + "|" + run.getWarnings().getMessage());

        String[][] settings = {
            {"application_name", "'me'"}, {"client_encoding", "'utf-8'"}, {"DateStyle", "ISO, DMY"},
            {"extra_float_digits", "3"}, {"search_path", "public"}, {"standard_conforming_strings", "on"},
            {"bytea_output", "hex"}, {"TimeZone", "'Europe/Berlin'"}, {"statement_timeout", "5000"},
            {"lock_timeout", "0"},
        };
        for (String[] setting : settings) {
            run.execute("SET " + setting[0] + " = " + setting[1]);
            tell("settings", setting[0] + "=" + one(a, "SHOW " + setting[0]));
            run.execute("RESET " + setting[0]);
        }
        tell("settings", "DateStyle=" + one(a, "SHOW DateStyle"));

        String version = a.getMetaData().getDatabaseProductVersion();
        PGConnection reported = a.unwrap(PGConnection.class);
        tell("reported", version.substring(0, 4) + "|" + reported.getParameterStatus("client_encoding"));

        boolean found = false;
        try (ResultSet tables = a.getMetaData().getTables(null, "public", "%", new String[] {"TABLE"})) {
            while (tables.next()) found |= tables.getString("TABLE_NAME").equals("k");
        }
        if (!found) throw new IllegalStateException("getTables does not show the table k");
        try (ResultSet columns = a.getMetaData().getColumns(null, "public", "k", "%")) {
            while (columns.next()) {
                String name = columns.getString("TYPE_NAME").replace("int4", "integer");
                String nullable = columns.getString("IS_NULLABLE").equals("NO") ? " not null" : "";
                tell("catalog", columns.getString("COLUMN_NAME") + " " + name + nullable);
            }
        }
        try (ResultSet key = a.getMetaData().getPrimaryKeys(null, "public", "k")) {
            while (key.next()) tell("catalog", "key " + key.getString("COLUMN_NAME"));
        }

        OUT.println("RESTART");
        port = new BufferedReader(new InputStreamReader(System.in)).readLine().trim();
        tell("restart", one(connect(""), "SELECT count(*) FROM k"));
    }

    static void batch(Connection connection, int... numbers) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO k VALUES (?, ?, 1)")) {
            for (int number : numbers) {
                statement.setInt(1, number);
                statement.setString(2, "n" + number);
                statement.addBatch();
            }
            statement.executeBatch();
        }
    }

    static String status(BaseConnection connection) {
        switch (connection.getTransactionState()) {
            case IDLE: return "idle";
            case OPEN: return "block";
            default: return "failed";
        }
    }
}
