package io.talaria.tokenizer;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class SentencePieceModelTest {
    private static final Path FILE = Path.of("tests", "data", "tokenizer", "sentencepiece.model");

    private static SentencePieceModel read(byte[] bytes) {
        return SentencePieceModel.read(ByteBuffer.wrap(bytes));
    }

    @Test
    void aFileOfSentencePieceIsRead() throws IOException {
        SentencePieceModel model = read(Files.readAllBytes(FILE));
        assertEquals(600, model.pieces().size());
        assertEquals(new SentencePieceModel.Piece("<unk>", 0, 2), model.pieces().get(0));
        assertEquals(new SentencePieceModel.Piece("<s>", 0, 3), model.pieces().get(1));
        assertEquals(
                new SentencePieceModel.Piece("<|tool|>", 0, 4), model.pieces().get(3));
        assertEquals(
                new SentencePieceModel.Piece("<0x00>", 0, 6), model.pieces().get(4));
        assertEquals(
                new SentencePieceModel.Piece("\u2581\u2581", -0f, 1),
                model.pieces().get(260));
        assertEquals(0, model.unknown());
        assertEquals(1, model.bos());
        assertEquals(2, model.eos());
        assertTrue(model.addSpacePrefix());
        assertEquals("", model.normaliser());
        assertTrue(!model.dropsSpaces());
    }

    @Test
    void whatTalariaDoesNotDoIsRefused() {
        byte[] unigram = {0x0A, 0x03, 0x0A, 0x01, 'a', 0x12, 0x02, 0x18, 0x01};
        byte[] suffix = {0x0A, 0x03, 0x0A, 0x01, 'a', 0x12, 0x05, 0x18, 0x02, (byte) 0xC0, 0x01, 0x01};
        refused("no byte-pair encoding", unigram);
        refused("no byte-pair encoding", Arrays.copyOf(unigram, 5)); // the default
        refused("keeps spaces in a way", suffix);
        refused("no tokens", new byte[0]);
    }

    @Test
    void damagedFilesAreRefused() {
        refused("ends within field 1", new byte[] {0x0A, 0x03, 0x0A, 0x02, 'a'});
        refused("ends within field 1", new byte[] {0x0A, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, 0x7F});
        refused("more than 64 bits", new byte[] {0x48, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 1});
        refused("has the number 0", new byte[] {0x02, 0x00});
        refused("unknown form 3", new byte[] {0x4B});
        refused("has the form 0 and not 2", new byte[] {0x08, 0x01});
        refused("not UTF-8", new byte[] {0x0A, 0x03, 0x0A, 0x01, (byte) 0xFF});
    }

    private static void refused(String sentence, byte[] bytes) {
        IllegalArgumentException e = assertThrows(IllegalArgumentException.class, () -> read(bytes));
        assertTrue(e.getMessage().contains(sentence), e.getMessage());
    }

    /** Whatever the bytes: a model or a sentence. */
    @Test
    void mutatedFilesAreReadOrRefused() throws IOException {
        byte[] file = Files.readAllBytes(FILE);
        Random random = new Random(5);
        int refused = 0;
        for (int i = 0; i < 3_000; i++) {
            byte[] bytes = Arrays.copyOf(file, random.nextInt(4) == 0 ? random.nextInt(file.length) : file.length);
            for (int flips = random.nextInt(5); flips >= 0 && bytes.length > 0; flips--) {
                bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
            }
            try {
                read(bytes);
            } catch (IllegalArgumentException e) {
                refused++;
            }
        }
        assertTrue(refused > 300 && refused < 3_000, refused + " refused");
    }
}
