-- Reserving and settling in one round trip each. Both lock the reservation first and then the counters, sorted, so that
-- nobody waits in a circle. The arrays are columns of one table: a counter per place.

-- Takes every amount, or none. The verdict is 'reserved' (with what each counter has now), 'over' (with what each has),
-- 'released' (it was settled before it came), or 'unseeded' (a counter is not there and no seed was given for it).
CREATE FUNCTION limits_reserve(
    reservation uuid, subjects text[], quotas text[], windows bigint[], amounts bigint[], limits bigint[], seeds bigint[],
    forget_ms bigint[], forget_reservation_ms bigint, OUT verdict text, OUT used bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    place integer;
    was_settled boolean;
    is_again boolean := false;
    now_used bigint;
BEGIN
    used := array_fill(NULL::bigint, ARRAY[cardinality(subjects)]);
    INSERT INTO limit_reservations
        VALUES (reservation, false, clock_timestamp() + forget_reservation_ms * interval '1 millisecond')
        ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        SELECT settled INTO was_settled FROM limit_reservations WHERE opening = reservation FOR UPDATE;
        IF was_settled THEN
            verdict := 'released';
            RETURN;
        END IF;
        is_again := true;
    END IF;
    verdict := 'reserved';
    FOR place IN
        SELECT c.place FROM unnest(subjects, quotas, windows) WITH ORDINALITY AS c (subject, quota, window_ms, place)
        ORDER BY c.subject COLLATE "C", c.quota COLLATE "C", c.window_ms
    LOOP
        LOOP
            SELECT l.used INTO now_used FROM limit_counters l
                WHERE l.subject = subjects[place] AND l.quota = quotas[place] AND l.window_ms = windows[place]
                FOR UPDATE;
            EXIT WHEN FOUND OR seeds[place] IS NULL;
            INSERT INTO limit_counters
                VALUES (subjects[place], quotas[place], windows[place], seeds[place],
                    clock_timestamp() + forget_ms[place] * interval '1 millisecond')
                ON CONFLICT DO NOTHING;
        END LOOP;
        IF now_used IS NULL THEN
            verdict := 'unseeded';
            EXIT;
        END IF;
        used[place] := now_used;
        IF NOT is_again AND now_used + amounts[place] > limits[place] THEN
            verdict := 'over';
        END IF;
    END LOOP;
    IF verdict <> 'reserved' THEN
        IF NOT is_again THEN
            DELETE FROM limit_reservations WHERE opening = reservation;
        END IF;
    ELSIF NOT is_again THEN
        FOR place IN 1 .. cardinality(subjects) LOOP
            UPDATE limit_counters l SET used = l.used + amounts[place]
                WHERE l.subject = subjects[place] AND l.quota = quotas[place] AND l.window_ms = windows[place]
                RETURNING l.used INTO now_used;
            used[place] := now_used;
        END LOOP;
    END IF;
END
$$;

-- Changes counters by what was used more or less than was reserved, once; leaves word of it where nothing was reserved.
CREATE FUNCTION limits_settle(
    reservation uuid, subjects text[], quotas text[], windows bigint[], changes bigint[], forget_reservation_ms bigint
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    place integer;
    was_settled boolean;
    forget_when timestamptz := clock_timestamp() + forget_reservation_ms * interval '1 millisecond';
BEGIN
    INSERT INTO limit_reservations VALUES (reservation, true, forget_when) ON CONFLICT DO NOTHING;
    IF FOUND THEN
        RETURN;
    END IF;
    SELECT settled INTO was_settled FROM limit_reservations WHERE opening = reservation FOR UPDATE;
    IF was_settled IS DISTINCT FROM false THEN
        RETURN;
    END IF;
    UPDATE limit_reservations SET settled = true, forget_at = forget_when WHERE opening = reservation;
    FOR place IN
        SELECT c.place FROM unnest(subjects, quotas, windows) WITH ORDINALITY AS c (subject, quota, window_ms, place)
        ORDER BY c.subject COLLATE "C", c.quota COLLATE "C", c.window_ms
    LOOP
        UPDATE limit_counters l SET used = GREATEST(l.used + changes[place], 0)
            WHERE l.subject = subjects[place] AND l.quota = quotas[place] AND l.window_ms = windows[place];
    END LOOP;
END
$$;
