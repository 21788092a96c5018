{{/*
Migrations run before anything else changes; if they fail, what runs goes on. The release's own ServiceAccount does not
exist yet when the first installation comes here, and migrations need none.
*/}}
{{- define "service-lib.migration" -}}
{{- $component := dict "root" . "component" "migration" }}
{{- with .Values.migration }}
{{- if .enabled }}
---
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "service-lib.metadata" (merge (dict "name" (printf "%s-migration" $.Chart.Name)) $component) | nindent 2 }}
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  backoffLimit: {{ int64 .backoffLimit }}
  activeDeadlineSeconds: {{ int64 .activeDeadlineSeconds }}
  template:
    metadata:
      {{- include "service-lib.podAnnotations" (dict "root" $) | nindent 6 }}
      labels:
        {{- with $.Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- include "service-lib.labels" $component | nindent 8 }}
    spec:
      restartPolicy: Never
      {{- include "service-lib.podSettings" $component | nindent 6 }}
      containers:
        - name: migration
          {{- include "service-lib.containerSettings" $ | nindent 10 }}
          command: [python, manage.py, migrate, --no-input]
          env:
            {{- include "service-lib.env" $component | nindent 12 }}
          resources:
            {{- toYaml .resources | nindent 12 }}
          volumeMounts:
            {{- include "service-lib.volumeMounts" $component | nindent 12 }}
      volumes:
        {{- include "service-lib.volumes" $component | nindent 8 }}
{{- end }}
{{- end }}
{{- end }}
