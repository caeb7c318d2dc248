/* The life of one run in a database that several processes share, for the model checker Spin.
 *
 * A process is a token (an incarnation): its lock is in `alive`, which the system clears when it dies, at any
 * step. Its threads are a recovery, a request of a person, and the driver of the run. A thread reads the row,
 * then acts on what it read; what one SQLite transaction does is one atomic step, and it writes only where the
 * row is still the one that was read (the code compares owner and version; here each move makes every earlier
 * reading stale, which keeps the states few). One process dies and is followed by another.
 *
 * Each edge that the run takes is printed, so that a test can compare them with the one table of the code.
 * Mistakes to try: -DNO_OWNER_CHECK, -DNO_CAS, -DSPLIT_COMMIT, -DLATE_ADOPTION, -DNO_RECOVERY.
 */

#define PHASES 2
#define COMPLETED 3
#define FAILED 4
#define TOKENS 3 /* two processes at first, and one that follows a dead one */

#define IS_ACTIVE(s) (s >= 1 && s <= PHASES)
#define EDGE(trigger, source, dest) printf("edge %d %d %d\n", trigger, source, dest)

/* The triggers, in the order of the table in the code. */
#define START 1
#define ADVANCE 2
#define FAIL 3
#define TIME_OUT 4
#define CANCEL 5
#define RESUME 6

/* The row. */
byte state = 0; /* 0: there is no run yet */
byte failed_in = 0;
byte owner = 0;
short fresh = 0; /* a bit for each thread whose reading of the row is still true */
bool cancel_requested = false;
byte committed[PHASES + 1]; /* how often the rows of a phase were made durable */

/* The processes. */
bool alive[TOKENS + 1];
byte driven[TOKENS + 1]; /* what the process knows: the thread of mine that has the run in hand, or 0 */
byte drivers[TOKENS + 1]; /* what is true: how many threads of it drive the run */
byte tokens = 0;
byte deaths = 1;
byte resumes = 1; /* how often a person may still ask */

#ifdef NO_CAS
#define IS_AS_READ true
#else
#define IS_AS_READ ((fresh >> _pid) & 1)
#endif

#ifdef NO_OWNER_CHECK
#define IS_DRIVEN(o) (o == me && driven[me] != 0)
#else
#define IS_DRIVEN(o) ((o == me && driven[me] != 0) || (o != me && o != 0 && alive[o]))
#endif

#ifdef LATE_ADOPTION /* the process counts the run as driven only once its thread begins */
#define DRIVE taken = true
#else
#define DRIVE driven[me] = run Driver(me)
#endif

inline move(trigger, dest) {
    EDGE(trigger, s, dest);
    fresh = 0;
    cancel_requested = false;
    state = dest;
    owner = (IS_ACTIVE(dest) -> me : 0);
    failed_in = (dest == FAILED -> s : 0);
}

inline read() { s = state; o = owner; fresh = fresh | (1 << _pid) }

inline forget() { s = 0; o = 0; fresh = fresh & ~(1 << _pid) }

inline hand_over() {
    if
    :: taken -> atomic { taken = false; driven[me] = run Driver(me) }
    :: else
    fi
}

proctype Driver(byte me) {
    byte s, o;
    atomic {
        drivers[me]++;
        /* Nobody else who lives drives the run. */
        assert(drivers[1] * alive[1] + drivers[2] * alive[2] + drivers[3] * alive[3] <= 1)
    }
    do
    :: atomic {
            read();
            if
            :: !alive[me] || !IS_ACTIVE(s) || o != me -> drivers[me]--; break
            :: else
            fi
        }
#ifdef SPLIT_COMMIT
        committed[s] = committed[s] + alive[me];
#endif
        atomic { /* the boundary: rows, row and event in one transaction */
            if
            :: !alive[me] || !IS_AS_READ -> drivers[me]--; break /* the run has moved on: write nothing */
            :: else
            fi;
            if
            :: !cancel_requested ->
#ifndef SPLIT_COMMIT
                committed[s]++;
#endif
                move(ADVANCE, s + 1)
            :: cancel_requested -> move(CANCEL, FAILED)
            :: move(FAIL, FAILED)
            :: move(TIME_OUT, FAILED)
            fi;
            if
            :: !IS_ACTIVE(state) -> drivers[me]--; break
            :: else -> forget()
            fi
        }
    od;
    atomic {
        forget();
        if
        :: driven[me] == _pid -> driven[me] = 0
        :: else
        fi
    }
}

inline recover() {
    atomic {
        read();
        if
        :: IS_ACTIVE(s) && !IS_DRIVEN(o)
        :: else -> forget()
        fi
    }
    atomic { /* one transaction, where the row is still that one */
        if
        :: s != 0 && alive[me] && IS_AS_READ ->
            assert(o == 0 || o == me || !alive[o]); /* a living owner's run is never touched */
            if
            :: cancel_requested -> move(CANCEL, FAILED)
            :: !cancel_requested -> move(RESUME, s); DRIVE
            :: !cancel_requested -> move(FAIL, FAILED) /* entered too often, or recovery is set to fail */
            fi
        :: else
        fi;
        forget()
    }
    hand_over()
}

proctype Request(byte me) {
    byte s, o;
    bool taken = false;
    if
    :: recover()
    :: true -> /* start: decided inside its transaction */
        atomic {
            if
            :: alive[me] && state == 0 -> move(START, 1); DRIVE
            :: else
            fi
        }
        hand_over()
    :: true -> /* a person resumes a failed run */
        atomic {
            read();
            if
            :: s == FAILED
            :: else -> forget()
            fi
        }
        atomic {
            if
            :: s == FAILED && alive[me] && IS_AS_READ && resumes > 0 ->
                resumes--;
                move(RESUME, failed_in);
                DRIVE
            :: else
            fi;
            forget()
        }
        hand_over()
    :: true -> /* a person cancels what a living process drives */
        atomic {
            if
            :: alive[me] && IS_ACTIVE(state) -> cancel_requested = true
            :: else
            fi
        }
    fi
}

proctype Process() {
    byte me, s, o;
    bool taken = false;
    atomic {
        tokens++;
        me = tokens;
        alive[me] = true;
        if
        :: me != 2 -> run Request(me) /* while it recovers */
        :: else /* one process only recovers, which keeps the states few */
        fi
    }
#ifndef NO_RECOVERY
    recover();
#endif
    if
    :: atomic { deaths > 0 -> deaths--; alive[me] = false; driven[me] = 0; run Process() } /* killed, started again */
    :: true
    fi
}

init {
    atomic { run Process(); run Process() }
}

/* A phase is done in every state behind it, and in no other. */
#define IS_BEHIND(k) ((state > k && state <= COMPLETED) || (state == FAILED && failed_in > k))
#define IS_RIGHT(k) ((committed[k] == 1 && IS_BEHIND(k)) || (committed[k] == 0 && !IS_BEHIND(k)))

/* The rows of a phase are there exactly when its boundary is, and once. */
ltl safe { [] (IS_RIGHT(1) && IS_RIGHT(2)) }

/* Once nobody dies any more, every run ends. */
ltl live { [] (IS_ACTIVE(state) -> <> !IS_ACTIVE(state)) }
