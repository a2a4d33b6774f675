/* The memory's protocol as a Promela model: three records, who attacks and who signs, the storage with the engine
   above it, the override beside it, a second instance on a copy of the files, and crashes at any point, with whatever
   somebody does to the files meanwhile. tests/memory_spin_test.sh searches it exhaustively, and shows by taking away
   one guard at a time (-DM_...) that each is needed.

   What is checked; the numbers are those of the invariants in the design of trusted memory:
     I2   what is pinned has a k-of-n ENDORSE over the same bytes before it in the ledger
     I3   nothing is raised without signatures of the approvers (or root keys) over the state as it is
     I4   a published checkpoint extends every earlier one; nothing is signed over a history that was signed otherwise
     I5   what was acknowledged survives a crash and is in every later checkpoint
     I7   revoked is for ever; nothing that descends from a lowered record is pinned in the next step
     I9   the override accepts a counter once, across crashes
     I10  a lowering command comes into force whatever state the rest is in (built with -DLIVE: the formula i10)
     I11  no effect leaves the outbox before the boundary behind it is signed and published

   Nothing is counted, so nothing is bounded: runs may suspend, release, commit and crash for ever. Where the program
   compares numbers, the model has what the comparison can say:
     sizes     of the ledger, the signed head, the published one: "leaves are unsigned" (tail), "a head is unpublished"
               (unpub), "the file extends the signed head" (exts), "it extends the published head" (extp)
     epochs    "it has moved since somebody looked"
     counters  "not accepted yet" or "accepted before"

   The cast, a process each:
     Daemon     the memory: gateway, registry, the one writer of the ledger, signer of checkpoints. Guards are evaluated
                where a transaction begins, under the write lock.
     Engine     the scheduler, and the outbox behind it.
     Override   the override's process with its journal and its page of flags.
     Attacker   the captured agent, with one of the three approver keys, every statement that was ever signed about an
                earlier state, every command that was ever accepted, and the files while the memory is down.
     Twin       the second instance, with the same keys.
     Crash      kill -9 and power loss of the memory with its engine, and of the override; the start after it.
   Approvers (two honest keys; k = 2), operator and root keys have no process: they may sign anything about the state as
   it is at any time, so their part is the choice in a guard. What the attacker presents to the gateway is part of that
   same choice (SIGN): where the guards hold it leaves the attacker nothing, where one is taken away it is accepted and
   an assertion finds it unsigned by honest keys.

   Records: 0 is evidence, 1 an anchor made from it, 2 another anchor, made from 0 or from 1, that stands beside 1 or
   takes its place. Sets of records are masks.

   Not in here: bytes, hashes and signatures themselves (assumed sound), labels (I1), quotas, time. Whoever restores old
   copies of all of the memory's files, sign.db included, makes it sign a fork: only the witness, with files of its own,
   ends that, so a checkpoint counts from its cosignature on. And leaves that no head covers yet can be cut off
   unnoticed: what was acknowledged within that second is lost then, and a lowering is final only when it stands in the
   override's journal or under a published head. */

#define NONE       0
#define ADMITTED   1
#define PROPOSED   2
#define ENDORSED   3
#define COMPILED   4
#define ACTIVE     5
#define SUPERSEDED 6
#define REVOKED    7  /* and EXPIRED: no different for what is checked here */

/* ---- what a run covers: -DRECORDS=1..3, -DCOMMANDS=0..2, -DTWIN=0|1, -DBESIDE, -DBATCH_OF_ONE ---- */
#ifndef RECORDS
#define RECORDS 2
#endif
#ifndef COMMANDS       /* of the override: 0 none, 1 REVOKE, 2 HALT and RESTORE, too */
#define COMMANDS 2
#endif
#ifndef TWIN
#define TWIN 1
#endif
#ifdef BESIDE          /* record 2 is made from 0; without: from 1, and so from 0 */
#define FAMILY     1
#define HEIRS_OF_1 0
#define ORIGIN     (st[0] == ADMITTED)
#else
#define FAMILY     3
#define HEIRS_OF_1 4
#define ORIGIN     (st[1] != NONE)
#endif
#ifdef BATCH_OF_ONE    /* one raising leaf, and any number of lowering ones, to a signed head; without: any */
#define BATCHED    tail
#else
#define BATCHED    false
#endif

#define BIT(r)     (1 << (r))
#define HAS(m, r)  (((m) >> (r)) & 1)
#define ANCESTORS(r) ((r) == 0 -> 0 : ((r) == 1 -> 1 : FAMILY))
#define LINE(r)    (ANCESTORS(r) | BIT(r))
#define HEIRS(r)   ((r) == 0 -> 6 : ((r) == 1 -> HEIRS_OF_1 : 0))
#define EXISTING   ((st[0] != NONE) | ((st[1] != NONE) << 1) | ((st[2] != NONE) << 2))
#define REVS       ((st[0] == REVOKED) | ((st[1] == REVOKED) << 1) | ((st[2] == REVOKED) << 2))

/* ---- on disk: the ledger folded to each record's status, and the same fold at the signed head ---- */
byte st[3], sst[3];
byte sus, ssus;        /* suspended; the status before stays in st */
bool tail;             /* there are leaves that no signed head covers */
bool unpub;            /* the signed head is not published */
bool exts = true;      /* the ledger extends the head in sign.db */
bool extp = true;      /* it extends the head that the witness saw last */
bool forged;           /* an unsigned leaf was put there by hand */
byte swapped;          /* the record whose payload somebody exchanged */
byte ob;               /* the effect in the outbox: 0 none, 1 made; its boundary is 2 a leaf, 3 signed, 4 published */

/* ---- in memory: gone with a crash ---- */
bool up = true;
bool ro;               /* refuses to work: somebody changed the files. Ends by a new genesis only, outside this model */
byte op, opr;          /* the transaction that is begun, and its record */
bool honest;           /* (for the checks) honest keys signed for it */
byte lows, lowr;       /* suspended, revoked in effect and not yet in the ledger */
byte lwr;              /* a lowering half done: record + 1, or + 4 where it revokes */
byte pinned;
bool moved;            /* rev_epoch is not the one that the scheduler saw last */
byte pchk;             /* the anchor that can_pin passed for, to be pinned */
bool pmoved;           /* rev_epoch is not the one of that check */

/* ---- the override, on disk but for what is said ---- */
byte oph, okind;       /* 1: a command is being written to the journal; 2: it is fsynced, and not yet in force */
bool kept = true;      /* the counter on disk is that of the newest command in force */
bool jrev;             /* the journal revokes record 0 */
bool jrest, jlogged;   /* there is a RESTORE that waits for the ledger; the ledger has it */
bool halt;             /* page of flags: halted */
bool fmoved;           /* page of flags: its epoch is not the one that the memory saw last */

/* ---- a second instance: the original has since 1 nothing, 2 appended, 3 signed, 4 published ---- */
byte twin;

/* ---- what only the checks know ---- */
byte ack[3];           /* the highest status that was acknowledged */
byte good;             /* honest approvers have endorsed these records over the bytes as they were then */
byte eff;              /* lowered, said so to whoever asked for it, and not released since */
byte dur;              /* revoked for ever */
bool newer;            /* a HALT came into force after the RESTORE that waits */

#define opADMIT 1
#define opENDORSE 2
#define opRELEASE 3

#define cREVOKE 1
#define cHALT 2
#define cRESTORE 3

/* ---- the guards; each M_ takes one away ---- */
#ifdef M_THRESHOLD     /* one signature is enough */
#define K 1
#else
#define K 2
#endif
#ifdef M_DISTINCT      /* one key that signs twice counts twice */
#define ATTACKER_SIGNATURES 2
#else
#define ATTACKER_SIGNATURES 1
#endif
#ifdef M_SEQ           /* a statement is not compared with the candidate's last change: old signatures count */
#define STALE_SIGNATURES 1
#else
#define STALE_SIGNATURES 0
#endif
#ifdef M_OPERATOR      /* the operator's key counts as an approver's */
#define OPERATOR_SIGNATURES 1
#else
#define OPERATOR_SIGNATURES 0
#endif
#define ATTACKER_PASSES (ATTACKER_SIGNATURES + STALE_SIGNATURES + OPERATOR_SIGNATURES >= K)
#define SIGN if :: true -> honest = true :: ATTACKER_PASSES -> honest = false fi

#define BAD (sus | REVS | lows | lowr)
#ifdef M_LINEAGE       /* ancestors are not looked at */
#define LOWERED(r) HAS(BAD, r)
#else
#define LOWERED(r) (BAD & LINE(r))
#endif
#ifdef M_BYTES         /* payloads are not compared with the statement's digest */
#define SAME_BYTES(r) true
#else
#define SAME_BYTES(r) (!HAS(swapped, r))
#endif
#define PROVEN(r) (sst[r] >= ENDORSED && sst[r] <= ACTIVE && !HAS(ssus, r))
#define CAN_PIN(r) (!LOWERED(r) && PROVEN(r) && SAME_BYTES(r) && !halt)
#ifdef M_NO_RECHECK    /* rev_epoch is not looked at again between can_pin and the pin */
#define UNMOVED true
#else
#define UNMOVED (!pmoved)
#endif
#ifdef M_OUTBOX        /* an effect leaves when its boundary is in the ledger */
#define RELEASED 2
#else
#define RELEASED 4
#endif
#ifdef M_RESTORE_UNLOGGED
#define RESTORE_LOGGED true
#else
#define RESTORE_LOGGED jlogged
#endif
#ifdef M_OVERRIDE_WAITS  /* the override needs the memory */
#define OVERRIDE_FREE FREE
#else
#define OVERRIDE_FREE true
#endif

#ifdef M_COUNTER       /* a command's counter is not compared */
#define REPLAY_PASSES true
#else
#define REPLAY_PASSES (!kept)
#endif

#define RUNS (up && !ro)
#define FREE (RUNS && op == 0 && !FULL)
#define RAISES (FREE && !halt && !lows && !lowr && !(BATCHED))
#ifdef LIVE
bool disk_full, hung;       /* for ever: the disk is full; the engine hangs, and the memory does not start any more */
byte fresh;            /* a command with the next counter that was sent */
#define FULL disk_full
#define HANGS hung
#define ANSWERED fresh = 0
#else
#define FULL false
#define HANGS false
#define ANSWERED skip
#endif

inline acknowledge(r) { ack[r] = (st[r] > ack[r] -> st[r] : ack[r]) }

inline append() { tail = true; if :: twin == 1 -> twin = 2 :: else fi }

inline bump() { moved = true; if :: pchk != 0 -> pmoved = true :: else fi }

inline revoke_now(r) {  /* T10: descendants are suspended with it */
  lowr = lowr | BIT(r); lows = (lows | (HEIRS(r) & EXISTING & ~(sus | REVS))) & ~lowr
}

inline lower_now() { if :: lwr >= 4 -> revoke_now(lwr - 4) :: else -> lows = lows | BIT(lwr - 1) fi }

inline apply_journal() {  /* what the override's journal says and the ledger does not yet */
  if :: jrev && st[0] != REVOKED && !HAS(lowr, 0) -> revoke_now(0) :: else fi
}

inline clear_memory() {
  op = 0; opr = 0; honest = false; lows = 0; lowr = 0; lwr = 0; pinned = 0; moved = false; pchk = 0; pmoved = false;
  fmoved = false
}

inline refuse() {  /* nothing matters any more but the override */
  clear_memory();
  ro = true; st[0] = NONE; st[1] = NONE; st[2] = NONE; sus = 0; sst[0] = NONE; sst[1] = NONE; sst[2] = NONE; ssus = 0;
  tail = false; unpub = false; exts = true; extp = true; forged = false; swapped = 0; ob = 0; twin = 0;
  ack[0] = NONE; ack[1] = NONE; ack[2] = NONE; good = 0; eff = 0; dur = 0
}

inline end_op() { op = 0; opr = 0; honest = false; append() }

proctype Daemon() {
  byte r;
end:
  do
  /* Transactions in which something can come in between: begun, then committed. */
  :: atomic { RAISES && st[0] == NONE -> op = opADMIT;                                    /* T1 */
#ifdef M_EARLY_ACK
       ack[0] = ADMITTED
#endif
     }
  :: atomic { RAISES -> if :: r = 1 :: r = 2 fi;                                          /* T4 */
       if :: st[r] == PROPOSED && !LOWERED(r) -> op = opENDORSE; opr = r; SIGN :: else fi; r = 0 }
  :: atomic { RAISES && sus -> if :: r = 0 :: r = 1 :: r = 2 fi;                          /* T8: the guards again */
       if
       :: HAS(sus, r) && !HAS(lowr, r) && !(BAD & ANCESTORS(r)) -> op = opRELEASE; opr = r; SIGN
       :: else
       fi;
       r = 0 }
  /* Committed is durable, and acknowledged. */
  :: d_step { up && op == opADMIT -> st[0] = ADMITTED; acknowledge(0); end_op() }
  :: d_step { up && op == opENDORSE ->
       assert(honest);                                                                    /* I3 */
       st[opr] = ENDORSED; acknowledge(opr); good = good | BIT(opr); end_op() }
  :: d_step { up && op == opRELEASE ->
       assert(honest);                                                                    /* I3 */
       sus = sus & ~BIT(opr);
       eff = eff & (~BIT(opr) | lows | lowr);
#ifdef M_CLOBBER       /* a release wipes out a suspension that came while it was being written */
       lows = lows & ~BIT(opr);
#endif
       end_op() }
  /* Transactions in one go. */
  :: d_step { RAISES && RECORDS >= 2 && st[0] == ADMITTED && !HAS(BAD, 0) && st[1] == NONE -> /* T3 */
       st[1] = PROPOSED; acknowledge(1); append() }
  :: d_step { RAISES && RECORDS == 3 && st[2] == NONE && ORIGIN && !(BAD & ANCESTORS(2)) ->
       st[2] = PROPOSED; acknowledge(2); append() }
  :: d_step { RAISES && st[1] == ENDORSED && CAN_PIN(1) -> st[1] = COMPILED; acknowledge(1); append() }  /* T5 */
  :: d_step { RAISES && st[2] == ENDORSED && CAN_PIN(2) -> st[2] = COMPILED; acknowledge(2); append() }
  :: atomic { RAISES && st[1] == ACTIVE && st[2] == COMPILED && CAN_PIN(2) ->              /* T9 */
       SIGN;
       assert(honest && HAS(good, 2));                                                    /* I2, I3 */
       honest = false; st[1] = SUPERSEDED; st[2] = ACTIVE; acknowledge(1); acknowledge(2); append(); bump() }
  :: d_step { FREE && ob == 1 -> ob = 2; append() }                                       /* section 6: COMMIT */

  /* Lowering, T7, T10, T11: in force first. Gateway, monitor, operator, clock, owner: anybody who may. */
  :: atomic { RUNS && lwr == 0 && !lows && !lowr && EXISTING ->
       if :: r = 0 :: r = 1 :: r = 2 fi;
       if
       :: HAS(EXISTING, r) && (!HAS(BAD, r) || (op == opRELEASE && opr == r)) -> lwr = r + 1
       :: HAS(EXISTING, r) && !HAS(REVS | lowr, r) -> lwr = r + 4
       :: else
       fi;
       r = 0;
       if
       :: lwr != 0 ->
#ifdef M_BUMP_FIRST    /* rev_epoch moves before the status */
          bump()
#else
          lower_now()
#endif
       :: else
       fi }
  :: d_step { RUNS && lwr != 0 ->
#ifdef M_BUMP_FIRST
       lower_now();
#else
       bump();
#endif
       eff = eff | lows | lowr; lwr = 0 }
  /* and then in the ledger */
  :: d_step { FREE && lwr == 0 && (lows | lowr) ->
       if :: HAS(lowr, 0) -> st[0] = REVOKED :: else fi;
       if :: HAS(lowr, 1) -> st[1] = REVOKED :: else fi;
       if :: HAS(lowr, 2) -> st[2] = REVOKED :: else fi;
       sus = (sus | lows) & ~REVS; lows = 0; lowr = 0; append() }

  /* RESTORE is in the ledger before it is in force. */
  :: d_step { FREE && jrest && !jlogged -> jlogged = true; append() }

  /* Section 7: read again, compare, sign, compare and swap in sign.db. */
  :: d_step { FREE && tail ->
       assert(exts);                                                                      /* I4 */
       assert(st[0] >= ack[0] && st[1] >= ack[1] && st[2] >= ack[2]);                     /* I5 */
       sst[0] = st[0]; sst[1] = st[1]; sst[2] = st[2]; ssus = sus; tail = false; unpub = true;
       if :: ob == 2 -> ob = 3 :: else fi; if :: twin == 2 -> twin = 3 :: else fi }
  /* The witness cosigns what extends the head that it saw last; then the checkpoint is published. */
  :: d_step { RUNS && unpub ->
       if
#ifdef M_WITNESS       /* the witness asks for no proof of consistency */
       :: true ->
#else
       :: !extp -> refuse()
       :: else ->
#endif
          assert(extp);                                                                   /* I4 */
          unpub = false; dur = dur | (sst[0] == REVOKED) | ((sst[1] == REVOKED) << 1) | ((sst[2] == REVOKED) << 2);
          if :: ob == 3 -> ob = 4 :: else fi; if :: twin == 3 -> twin = 4 :: else fi
       fi }
  od
}

#define SOUND(r) (!HAS(pinned, r) || (!(eff & LINE(r)) && HAS(good, r) && !HAS(swapped, r)))

proctype Engine() {
  byte r;
end:
  do
  /* One step: compare the epochs, then decode with what is pinned. A hit drops pages, and effects that are not out. */
  :: d_step { RUNS && !HANGS && !halt && (moved || fmoved || pinned) ->
#ifndef M_NO_COMPARE   /* the epochs are not compared */
       if :: fmoved -> apply_journal(); fmoved = false; moved = true :: else fi;
       if
       :: moved ->
          if :: HAS(pinned, 1) && (LOWERED(1) || st[1] != ACTIVE) -> pinned = pinned & ~2; ob = 0 :: else fi;
          if :: HAS(pinned, 2) && (LOWERED(2) || st[2] != ACTIVE) -> pinned = pinned & ~4; ob = 0 :: else fi;
          moved = false
       :: else
       fi;
#endif
       assert(SOUND(1) && SOUND(2)) }                                                     /* I2, I7 */

  /* T6: can_pin; ACTIVATE in the ledger; pinned unless something was lowered since the check. */
  :: atomic { RUNS && !HANGS && pchk == 0 ->
       if :: r = 1 :: r = 2 fi;
       if
       :: (st[r] == COMPILED || (st[r] == ACTIVE && !HAS(pinned, r))) && CAN_PIN(r) -> pchk = r; pmoved = fmoved
       :: else
       fi;
       r = 0 }
  :: d_step { RAISES && !HANGS && pchk != 0 && st[pchk] == COMPILED && !LOWERED(pchk) ->
       assert(HAS(good, pchk) && !HAS(swapped, pchk));                                    /* I2 */
       st[pchk] = ACTIVE; acknowledge(pchk); append() }
  :: d_step { RUNS && !HANGS && pchk != 0 && st[pchk] == ACTIVE && UNMOVED ->
       pinned = pinned | BIT(pchk); pchk = 0; pmoved = false }
  :: d_step { RUNS && !HANGS && pchk != 0 && (pmoved || halt || st[pchk] > ACTIVE) -> pchk = 0; pmoved = false }

  /* A tool call waits in the outbox for its boundary. */
  :: d_step { RUNS && !HANGS && !halt && ob == 0 && pinned && !moved && !fmoved -> ob = 1 }
  :: d_step { RUNS && ob >= RELEASED -> assert(ob == 4); ob = 0 }                         /* I11 */
  od
}

inline persist() { if :: okind == cREVOKE -> jrev = true :: else fi; kept = true; ANSWERED }

inline enforce() {
  if
  :: okind == cREVOKE ->
     fmoved = RUNS; if :: pchk != 0 -> pmoved = true :: else fi;
     if :: !ro -> eff = eff | 1; dur = dur | 1 :: else fi
  :: okind == cHALT -> halt = true; newer = jrest;
#ifndef M_RESTORE_LATE  /* a RESTORE that waits outlives a later HALT */
     jrest = false; jlogged = false; newer = false
#endif
  :: okind == cRESTORE -> jrest = true; jlogged = false; newer = false
  :: else
  fi
}

/* Commands whose signatures, target, time and counter are right; REVOKE is for record 0, which has two descendants. */

proctype Override() {
end:
  do
#ifdef LIVE
  :: d_step { oph == 0 && fresh != 0 && OVERRIDE_FREE -> okind = fresh; oph = 1 }
#else
  :: d_step { oph == 0 && COMMANDS >= 1 && sst[0] != NONE && !jrev -> okind = cREVOKE; oph = 1 }
  :: d_step { oph == 0 && COMMANDS == 2 && (!halt || jrest) -> okind = cHALT; oph = 1 }
  :: d_step { oph == 0 && COMMANDS == 2 && halt && !jrest -> okind = cRESTORE; oph = 1 }
#endif
#ifdef M_EFFECT_FIRST  /* in force before it is fsynced */
  :: d_step { oph == 1 -> enforce(); kept = false; oph = 2 }
  :: d_step { oph == 2 -> persist(); oph = 0; okind = 0 }
#else
  :: d_step { oph == 1 -> persist(); oph = 2 }
  :: d_step { oph == 2 -> enforce(); oph = 0; okind = 0 }
#endif
  :: d_step { oph == 0 && jrest && RESTORE_LOGGED ->
       assert(jlogged && !newer);                                                         /* I3 */
       halt = false; jrest = false; jlogged = false; newer = false }
  /* A replay passes where the counter on disk is behind, or is not looked at. */
  :: atomic { oph == 0 && REPLAY_PASSES -> assert(false) }                                /* I9 */
#ifdef M_RESTORE_ONE   /* one root key is enough */
  :: atomic { oph == 0 && halt -> assert(false) }                                         /* I3 */
#endif
  od
}

proctype Attacker() {
end:
  do
  /* The files, while the memory is down. */
  :: d_step { !up && tail ->   /* leaves that nothing covers are cut off, and what was acknowledged with them */
       st[0] = sst[0]; st[1] = sst[1]; st[2] = sst[2]; sus = ssus; tail = false; forged = false;
       ack[0] = st[0]; ack[1] = st[1]; ack[2] = st[2]; eff = (eff & dur) | sus | REVS;
       if :: ob == 2 -> ob = 0 :: else fi }
  :: atomic { !up && exts && extp && sst[0] != NONE ->   /* an old copy of the ledger, and of sign.db too or not */
       if
       :: true -> exts = false; extp = false
       :: unpub -> exts = false
       :: true -> extp = false; sst[0] = NONE; sst[1] = NONE; sst[2] = NONE; ssus = 0; unpub = false
       fi;
       st[0] = NONE; st[1] = NONE; st[2] = NONE; sus = 0; tail = false; forged = false; ob = 0 }
  /* a leaf without the signatures that it needs */
  :: atomic { !up && !forged && (st[1] == PROPOSED || st[2] == PROPOSED || sus != 0) ->
       if
       :: st[1] == PROPOSED -> st[1] = ENDORSED
       :: st[2] == PROPOSED -> st[2] = ENDORSED
       :: sus != 0 -> sus = 0
       fi;
       forged = true; append() }
  :: d_step { !up && swapped == 0 && st[1] >= PROPOSED -> swapped = 2 }
  :: d_step { !up && swapped == 0 && st[2] >= PROPOSED -> swapped = 4 }
  od
}

/* A second instance on a copy of the files: it appends something else, signs, and asks the witness, too. */
#ifdef M_WITNESS
#define COSIGNED true
#else
#define COSIGNED (twin < 4)
#endif
proctype Twin() {
end:
  do
  :: d_step { TWIN && twin == 0 && RUNS && extp -> twin = 1 }
  :: d_step { twin != 0 && !ro && COSIGNED -> assert(twin < 4); twin = 0; extp = false }         /* I4 */
  :: d_step { twin == 4 -> twin = 0 }   /* refused */
  od
}

#ifdef LIVE
byte crashes;
#define MAY_CRASH (crashes < LIVE)
#define COUNT crashes++
#else
#define MAY_CRASH true
#define COUNT skip
#endif

proctype Crash() {
end:
  do
  :: d_step { RUNS && MAY_CRASH ->
       COUNT; up = false; clear_memory();
#ifdef M_NOFSYNC       /* a commit is in the system's cache only */
       if
       :: tail -> st[0] = sst[0]; st[1] = sst[1]; st[2] = sst[2]; sus = ssus; tail = false
       :: else
       fi;
#endif
       if :: ob == 1 -> ob = 0 :: else fi;
       eff = (eff & dur) | sus | REVS }
  /* The start, section 12: sign.db, the witness, the leaves that nothing covers yet, the override's journal. */
  :: d_step { !up && !HANGS ->
       up = true;
       if
#ifndef M_NO_SIGN_DB   /* the ledger is not compared with sign.db */
       :: !exts -> refuse()
#endif
#ifndef M_NO_WITNESS   /* nor with what the witness saw */
       :: !extp -> refuse()
#endif
#ifndef M_TRUST_TAIL   /* unsigned leaves are believed */
       :: forged -> refuse()
#endif
       :: else ->
          forged = false;
#ifndef M_NO_REPLAY    /* the override's journal is not looked at */
          apply_journal();
#endif
          eff = eff | lows | lowr;
          assert(st[0] >= ack[0] && st[1] >= ack[1] && st[2] >= ack[2]);                   /* I5 */
          assert(!(dur & ~(REVS | lowr)));                                                /* I7 */
          assert(!(eff & ~(sus | REVS | lows | lowr)));                                   /* I3 */
          assert((st[1] < ENDORSED || st[1] > ACTIVE || HAS(good, 1)) &&
                 (st[2] < ENDORSED || st[2] > ACTIVE || HAS(good, 2)))                    /* I2 */
       fi }
  :: d_step { oph == 1 && MAY_CRASH -> COUNT; oph = 0; okind = 0 }   /* the override: what was not fsynced is gone */
#ifdef M_EFFECT_FIRST
  :: d_step { oph == 2 && MAY_CRASH -> COUNT; oph = 0; okind = 0 }
#endif
#ifdef LIVE
  :: d_step { !disk_full -> disk_full = true }
  :: d_step { !hung -> hung = true }
#endif
  od
}

#ifdef LIVE
proctype Operator() {
end:
  do
  :: d_step { fresh == 0 && oph == 0 && sst[0] != NONE && !jrev -> fresh = cREVOKE }
  :: d_step { fresh == 0 && oph == 0 && !halt -> fresh = cHALT }
  :: d_step { fresh == 0 && oph == 0 && halt && !jrest -> fresh = cRESTORE }
  od
}
ltl i10 { [] ((fresh == cHALT -> <> (halt && oph == 0)) && (fresh == cREVOKE -> <> (jrev && oph == 0))) }
#define OPERATOR run Operator()
#else
#define OPERATOR skip
#endif

init { atomic { run Daemon(); run Engine(); run Override(); run Attacker(); run Twin(); run Crash(); OPERATOR } }
