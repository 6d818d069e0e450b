"""Education: the pace follows the pupil. A simulator of pupils, tutors who choose what is practised next, and one of
them who tunes itself to each pupil."""
