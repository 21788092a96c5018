{{/* Pictures: a volume that the gateway reads too, or a bucket. Only a chart with `media` in its values has them. */}}

{{- define "service-lib.mediaEnv" -}}
MEDIA_STORAGE: {{ .storage }}
{{- if eq .storage "s3" }}
MEDIA_S3_BUCKET: {{ .s3.bucket | quote }}
{{- with .s3.endpointUrl }}
MEDIA_S3_ENDPOINT_URL: {{ . | quote }}
{{- end }}
{{- with .s3.region }}
MEDIA_S3_REGION: {{ . | quote }}
{{- end }}
{{- else }}
MEDIA_ROOT: /media
{{- end }}
{{- with .url }}
MEDIA_URL: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "service-lib.mediaClaimName" -}}
{{ .Values.media.filesystem.existingClaim | default (printf "%s-media" .Chart.Name) }}
{{- end }}

{{- define "service-lib.mediaClaim" -}}
{{- with .Values.media }}
{{- if and (eq .storage "filesystem") (not .filesystem.existingClaim) }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  {{- include "service-lib.metadata" (dict "root" $ "component" "media" "name" (include "service-lib.mediaClaimName" $)) | nindent 2 }}
  annotations:
    helm.sh/resource-policy: keep
spec:
  accessModes:
    {{- toYaml .filesystem.accessModes | nindent 4 }}
  {{- with .filesystem.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ .filesystem.size }}
{{- end }}
{{- end }}
{{- end }}
