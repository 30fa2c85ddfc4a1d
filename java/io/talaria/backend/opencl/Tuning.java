package io.talaria.backend.opencl;

/**
 * How work is cut for a device: what {@code dialect.clh} wants to have defined.
 *
 * @param teamLanes work-items that share a row of weights
 * @param teams of a work-group
 * @param weightRows rows of weights that a team takes at once
 * @param rowLanes work-items that share a row of activations
 * @param attentionLanes work-items that share a split of attention's positions
 */
record Tuning(int teamLanes, int teams, int weightRows, int rowLanes, int attentionLanes) {
    /** Work-items of a work-group that a device must have. */
    static final int FEWEST_LANES = 64;

    /** Rows of activations that a piece of a weight is decoded once for, where there are more than one. */
    static final int TILE_ROWS = 8;

    /** A system property; {@code gpu} cuts work for a processor as for a GPU, for tests. */
    static final String SHAPE_PROPERTY = "talaria.opencl.shape";

    /**
     * A processor goes through a row by vectors: its work-items share none. Work-groups of one work-item also keep out of the
     * way of PoCL, which makes loops of the others and lets their private arrays overlap.
     */
    static Tuning of(Hardware hardware) {
        if (hardware.processor() && !"gpu".equals(System.getProperty(SHAPE_PROPERTY))) {
            return new Tuning(1, 1, 4, 1, 1);
        }
        int rowLanes = Integer.highestOneBit(Math.min(256, hardware.mostLanes()));
        return new Tuning(32, Math.min(4, rowLanes / 32), 2, rowLanes, 64);
    }

    String defines() {
        return "-DTEAM_LANES=" + teamLanes + " -DTEAMS=" + teams + " -DWEIGHT_ROWS=" + weightRows + " -DROW_LANES="
                + rowLanes + " -DATTENTION_LANES=" + attentionLanes;
    }

    int productLanes() {
        return teamLanes * teams;
    }
}
