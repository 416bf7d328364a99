-- The twelve tags of packs/medical/taxonomy.yaml as somebody would write them for DuckDB: $subjects and $events are
-- Parquet files, $as_of is a day. The yardstick of the tag engine; its results must be the same.
WITH measured AS (
    SELECT
        pseudonym,
        count(*) FILTER (event_type IN ('consult_started', 'consult_finished') AND day > $as_of - 30) AS consults_30,
        count(*) FILTER (event_type IN ('consult_started', 'consult_finished') AND day > $as_of - 7
            AND (hour >= 22 OR hour < 6)) AS night_consults_7,
        count(*) FILTER (event_type = 'consult_finished' AND day > $as_of - 90) AS finished_90,
        count(*) FILTER (event_type = 'consult_finished' AND day > $as_of - 60) AS finished_60,
        count(*) FILTER (event_type = 'consult_finished' AND day > $as_of - 30) AS finished_30,
        count(*) FILTER (event_type IN ('search', 'article_read', 'self_test_done') AND day > $as_of - 30) AS reads_30,
        count(DISTINCT day) FILTER ((hour >= 22 OR hour < 6) AND day > $as_of - 30) AS night_days_30,
        count(*) FILTER (format IS NOT NULL AND day > $as_of - 180) AS formats,
        count(*) FILTER (format = 'text' AND day > $as_of - 180) AS texts,
        count(*) FILTER (format = 'video' AND day > $as_of - 180) AS videos,
        count(*) FILTER (format = 'phone' AND day > $as_of - 180) AS phones,
        count(*) FILTER (event_type = 'reminder_kept' AND day > $as_of - 30) AS kept,
        count(*) FILTER (event_type IN ('reminder_kept', 'reminder_missed') AND day > $as_of - 30) AS reminders,
        $as_of - max(day) FILTER (event_type = 'login') AS days_since_login,
        coalesce(sum(amount) FILTER (event_type = 'purchase' AND day > $as_of - 365
            AND coalesce(status, 'paid') NOT IN ('refunded', 'cancelled')), 0) AS spent,
        count(*) FILTER (event_type = 'purchase' AND day > $as_of - 30
            AND coalesce(status, 'paid') NOT IN ('refunded', 'cancelled')) AS purchases_30,
        count(*) FILTER (event_type = 'share' AND day > $as_of - 30) AS shares_30,
        count(*) FILTER (event_type = 'invite' AND day > $as_of - 30) AS invites_30
    FROM read_parquet($events)
    WHERE day <= $as_of
    GROUP BY pseudonym
),

-- Somebody without any event has done everything zero times; when the last login was stays unknown.
joined AS (
    SELECT s.*, m.* EXCLUDE (pseudonym, days_since_login) REPLACE (
        coalesce(consults_30, 0) AS consults_30, coalesce(night_consults_7, 0) AS night_consults_7,
        coalesce(finished_90, 0) AS finished_90, coalesce(finished_60, 0) AS finished_60,
        coalesce(finished_30, 0) AS finished_30, coalesce(reads_30, 0) AS reads_30,
        coalesce(night_days_30, 0) AS night_days_30, coalesce(formats, 0) AS formats, coalesce(kept, 0) AS kept,
        coalesce(reminders, 0) AS reminders, coalesce(spent, 0) AS spent, coalesce(purchases_30, 0) AS purchases_30,
        coalesce(shares_30, 0) AS shares_30, coalesce(invites_30, 0) AS invites_30
    ), m.days_since_login
    FROM read_parquet($subjects) AS s LEFT JOIN measured AS m USING (pseudonym)
),

first_layer AS (
    SELECT *,
        CASE
            WHEN age_band IN ('0-4', '5-9', '10-14') THEN 'child'
            WHEN age_band IN ('15-19', '20-24', '25-29', '30-34') THEN 'young'
            WHEN age_band IN ('35-39', '40-44', '45-49', '50-54', '55-59') THEN 'middle'
            WHEN age_band IN ('60-64', '65-69', '70-74', '75-79', '80-84', '85-89', '90+') THEN 'senior'
        END AS age_group,
        CASE
            WHEN diagnosis_groups IS NULL THEN NULL
            WHEN list_has_any(diagnosis_groups, ['E10', 'E11', 'E12', 'E13', 'E14'])
                AND list_has_any(diagnosis_groups, ['I10', 'I11', 'I12', 'I13', 'I15']) THEN 'both'
            WHEN list_has_any(diagnosis_groups, ['I10', 'I11', 'I12', 'I13', 'I15']) THEN 'hypertension'
            WHEN list_has_any(diagnosis_groups, ['E10', 'E11', 'E12', 'E13', 'E14']) THEN 'diabetes'
            WHEN list_has_any(diagnosis_groups, ['E78', 'I20', 'I25', 'I69', 'J44', 'J45', 'N18']) THEN 'other'
            ELSE 'none'
        END AS chronic_disease,
        reproductive_state AS reproductive_stage,
        days_since_login >= 30 OR (finished_60 - finished_30 >= 2 AND finished_30 * 2 <= finished_60 - finished_30)
            AS churn_risk
    FROM joined
)

SELECT
    pseudonym,
    age_group,
    chronic_disease,
    reproductive_stage,
    CASE
        WHEN chronic_disease <> 'none' THEN 'management'
        WHEN consults_30 >= 1 THEN 'treatment'
        WHEN chronic_disease = 'none' THEN 'prevention'
    END AS need_level,
    CASE
        WHEN night_consults_7 >= 1 THEN 'acute'
        WHEN finished_90 >= 1 THEN
            CASE WHEN chronic_disease <> 'none' THEN 'chronic_followup' WHEN chronic_disease = 'none' THEN 'advice' END
        WHEN reads_30 >= 1 THEN 'advice'
        ELSE 'quiet'
    END AS urgency,
    systolic_bin IN ('140-<160', '160-<180', '>=180') OR diastolic_bin IN ('90-<100', '100-<110', '>=110')
        AS pressure_out_of_range,
    night_days_30 >= 3 AS night_user,
    CASE
        WHEN formats = 0 THEN NULL
        WHEN texts * 2 > formats THEN 'text'
        WHEN videos * 2 > formats THEN 'video'
        WHEN phones * 2 > formats THEN 'phone'
        ELSE 'mixed'
    END AS service_preference,
    CAST(round_even(kept / nullif(reminders, 0), 4) AS DECIMAL(18, 4)) AS reminder_adherence,
    churn_risk,
    CASE
        WHEN churn_risk THEN 'churn_risk'
        WHEN spent > 2000 THEN 'high'
        WHEN spent >= 300 OR purchases_30 > 2 THEN 'potential'
        ELSE 'ordinary'
    END AS value_tier,
    shares_30 > 3 OR invites_30 > 5 AS seed_user
FROM first_layer
ORDER BY pseudonym
