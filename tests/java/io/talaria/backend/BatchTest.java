package io.talaria.backend;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class BatchTest {
    private final BatchShape shape = new BatchShape(4, 2, 2, 3, 2, 3, 2);
    private final Batch batch = new Batch(shape);

    @Test
    void keepsWhatWasPutIn() {
        batch.setBlock(1, 2, 7);
        assertEquals(0, batch.addRow(11, 5, 0));
        assertEquals(1, batch.addRow(12, 9, 1));
        batch.addRow(13, 10, 1);
        batch.addWanted(1);
        batch.adjust(3, 2f, -1f);
        batch.adjust(4, 1f, 5f);
        batch.addWanted(2);
        batch.setTarget(1, 6);
        batch.adjust(5, 0.5f, 0f);
        batch.setMask(new int[] {1 << 4, 1});
        assertEquals(3, batch.rows());
        assertEquals(12, batch.token(1));
        assertEquals(9, batch.position(1));
        assertEquals(1, batch.sequence(1));
        assertEquals(2, batch.wantedRow(1));
        assertEquals(-1, batch.target(0, 1));
        assertEquals(6, batch.target(1, 1));
        assertEquals(2, batch.adjustmentsBegin(1));
        assertEquals(3, batch.adjustmentsBegin(2));
        assertEquals(5, batch.adjustedToken(2));
        assertEquals(0.5f, batch.penalty(2));
        assertEquals(5f, batch.added(1));
        assertEquals(7, batch.kvBlock(1, 11, 4));
        assertEquals(-1, batch.kvBlock(0, 11, 4));
        assertEquals(-1, batch.kvBlock(1, 12, 4), "past the table");
        assertTrue(batch.allowed(0, 0), "a row without a mask of its own may choose anything");
        assertTrue(batch.allowed(1, 4) && batch.allowed(1, 32));
        assertFalse(batch.allowed(1, 5));
    }

    @Test
    void refusesWhatDoesNotFit() {
        assertThrows(DeviceException.class, () -> batch.addWanted(0));
        assertThrows(DeviceException.class, () -> batch.setTarget(0, 1));
        assertThrows(DeviceException.class, () -> batch.adjust(1, 1f, 0f));
        assertThrows(DeviceException.class, () -> batch.setMask(new int[2]));
        for (int i = 0; i < 4; i++) {
            batch.addRow(1, i, 0);
        }
        assertThrows(DeviceException.class, () -> batch.addRow(1, 4, 0));
        batch.addWanted(2);
        assertThrows(DeviceException.class, () -> batch.addWanted(2));
        assertThrows(DeviceException.class, () -> batch.addWanted(4));
        assertThrows(DeviceException.class, () -> batch.adjust(1, 0f, 0f));
        assertThrows(DeviceException.class, () -> batch.adjust(1, Float.NaN, 0f));
        assertThrows(DeviceException.class, () -> batch.setBlock(2, 0, 1));
        assertThrows(DeviceException.class, () -> batch.setBlock(0, 3, 1));
        assertThrows(DeviceException.class, () -> batch.setMask(new int[3]));
        for (int i = 0; i < 3; i++) {
            batch.adjust(1, 1f, 0f);
        }
        assertThrows(DeviceException.class, () -> batch.adjust(1, 1f, 0f));
    }

    @Test
    void clearingForgetsBlocksRowsAndMasks() {
        batch.setBlock(0, 0, 5);
        batch.addRow(1, 0, 0);
        batch.addWanted(0);
        batch.setMask(new int[2]);
        batch.adjust(1, 1f, 1f);
        batch.clear();
        assertEquals(0, batch.rows() + batch.wanted());
        assertEquals(-1, batch.kvBlock(0, 0, 4));
        batch.addRow(1, 0, 0);
        batch.addWanted(0);
        assertTrue(batch.allowed(0, 3));
        assertEquals(0, batch.adjustmentsBegin(1));
    }

    @Test
    void shapesHaveLimits() {
        assertThrows(DeviceException.class, () -> new BatchShape(0, 0, 1, 1, 0, 0, 0));
        assertThrows(DeviceException.class, () -> new BatchShape(1, 2, 1, 1, 0, 0, 0));
        assertThrows(DeviceException.class, () -> new BatchShape(1, 1, 0, 1, 0, 0, 0));
        assertThrows(DeviceException.class, () -> new BatchShape(1, 1, 1, 1 << 17, 0, 0, 0));
        assertThrows(DeviceException.class, () -> new BatchShape(1, 1, 1, 1, -1, 0, 0));
    }
}
