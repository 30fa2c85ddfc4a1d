package io.talaria.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jline.terminal.Terminal;
import org.jline.terminal.impl.ExternalTerminal;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TerminalInputTest {
    @TempDir
    private Path folder;

    private static TerminalInput typed(String keys, Optional<Path> history) throws IOException {
        ByteArrayInputStream in = new ByteArrayInputStream(keys.getBytes(StandardCharsets.UTF_8));
        Terminal terminal =
                new ExternalTerminal("test", "xterm", in, new ByteArrayOutputStream(), StandardCharsets.UTF_8);
        return TerminalInput.over(terminal, List.of("/help"), history);
    }

    @Test
    void messagesOfSeveralLines() throws IOException {
        String keys = "don't \"stop\r" + "one\\\rtwo\r" + "\"\"\"three\r\rfour\"\"\"\r" + "wow!!\r";
        try (TerminalInput input = typed(keys, Optional.empty())) {
            assertEquals("don't \"stop", input.next());
            assertEquals("one\\\ntwo", input.next());
            assertEquals("\"\"\"three\n\nfour\"\"\"", input.next());
            assertEquals("wow!!", input.next());
            assertNull(input.next());
        }
    }

    @Test
    void aPasteIsOneMessage() throws IOException {
        try (TerminalInput input = typed("\u001b[200~one\ntwo\u001b[201~ three\r", Optional.empty())) {
            assertEquals("one\ntwo three", input.next());
        }
    }

    @Test
    void theHistoryOutlivesTheProgram() throws IOException {
        Path file = ChatHistory.file(Map.of("XDG_STATE_HOME", folder.toString()), "/nowhere")
                .orElseThrow();
        try (TerminalInput input = typed("one\\\rtwo\rthree\r", Optional.of(file))) {
            input.next();
            input.next();
        }
        String previous = "\u0010"; // Ctrl-P
        try (TerminalInput input = typed(previous + "\r" + previous + previous + "\r", Optional.of(file))) {
            assertEquals("three", input.next());
            assertEquals("one\\\ntwo", input.next());
        }
        assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
        assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file.getParent())));
    }

    @Test
    void theHistoryLiesInTheFolderForState() throws IOException {
        Optional<Path> home = ChatHistory.file(Map.of(), folder.toString());
        assertEquals(Optional.of(folder.resolve(".local/state/talaria/chat_history")), home);
        assertEquals(home, ChatHistory.file(Map.of("XDG_STATE_HOME", "relative"), folder.toString()));
        assertTrue(Files.exists(home.orElseThrow()));
    }

    @Test
    void thereIsNoHistoryWhereNoneCanBe() throws IOException {
        Path blocked = Files.createFile(folder.resolve("file"));
        assertFalse(ChatHistory.file(Map.of(), blocked.toString()).isPresent());
        assertFalse(ChatHistory.file(Map.of(), "?").isPresent());
    }
}
