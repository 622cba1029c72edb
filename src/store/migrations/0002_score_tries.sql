-- When a video was last found to have no score: such a video has no row in vvv_scores to say when
-- it was tried, and without one it would stand before all others whenever a run picks its videos.
CREATE TABLE vvv_score_tries (
    video_id TEXT PRIMARY KEY NOT NULL,
    tried_at INTEGER NOT NULL CHECK (typeof(tried_at) = 'integer')
);
